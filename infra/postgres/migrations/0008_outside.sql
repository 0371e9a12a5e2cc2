-- before deploy
-- A claim by a helpdesk outside is known as one: what came of it, only that helpdesk and a person can say.
set local role sluice_owner;

alter table claim add column outside boolean not null default false;  -- granted to a helpdesk that delivers by itself
update claim set outside = true from item where claim.actor = 'bot' and item.key = claim.key || ':outside';

-- As before, but a claim of a helpdesk outside is parked past its lease: our own helpdesk can't be asked about it.
create or replace function claim(
    p_ticket uuid, p_conversation text, p_revision integer, p_actor text, p_channel text, p_intent text,
    p_customer text, p_key text, p_lease double precision, p_holder uuid
) returns claim_answer
language plpgsql as $$
declare
    place conversation;
    known claim;
    obstacle text;
begin
    perform name_for_now('conversation', p_conversation);
    perform name_for_now('customer', p_customer);
    perform name_for_now('key', p_key);
    perform pg_advisory_xact_lock_shared(switch_lock());
    select * into place from conversation where conversation = p_conversation for update;
    if not found or p_revision > place.revision or not exists (
        select from message
        where ticket_id = p_ticket and conversation = p_conversation and revision = p_revision
            and customer_id is not distinct from p_customer
    ) then
        return ('unknown', 'no such ticket at this revision of the conversation', null)::claim_answer;
    end if;

    select * into known from claim where conversation = p_conversation and revision = p_revision;
    if known.state = 'sent' then
        return ('sent', '', known.delivery)::claim_answer;
    elsif known.state = 'parked' then
        return ('parked', '', null)::claim_answer;
    elsif known.state = 'claimed' and known.lease_until > clock_timestamp() then
        return ('leased', '', null)::claim_answer;
    elsif known.state = 'claimed' and known.outside then
        update claim set state = 'parked', settled_at = clock_timestamp()
            where conversation = p_conversation and revision = p_revision and state = 'claimed';
        return ('parked', 'the helpdesk outside may have sent it', null)::claim_answer;
    elsif known.state = 'claimed' then
        return ('ambiguous', '', null)::claim_answer;
    end if;

    if p_revision < place.revision then
        return ('superseded', format('revision %s is current', place.revision), null)::claim_answer;
    end if;
    if p_actor = 'bot' then
        if place.owner <> 'bot' then
            return ('taken_over', place.person, null)::claim_answer;
        end if;
        obstacle := stopping_scope(p_channel, p_intent, p_customer);
        if obstacle is not null then
            return ('stopped', obstacle, null)::claim_answer;
        end if;
    else
        obstacle := not_held_by(p_actor, p_conversation, p_revision);
        if obstacle is not null then
            return ('taken_over', obstacle, null)::claim_answer;
        end if;
    end if;

    insert into claim as c
        (conversation, revision, key, ticket_id, customer_id, actor, channel, intent, state, holder, lease_until)
    values (p_conversation, p_revision, p_key, p_ticket, p_customer, p_actor, p_channel, p_intent, 'claimed', p_holder,
        clock_timestamp() + make_interval(secs => p_lease))
    on conflict (conversation, revision) do update  -- only a released claim comes this far
        set key = excluded.key, actor = excluded.actor, state = 'claimed', holder = excluded.holder,
            lease_until = excluded.lease_until, claimed_at = excluded.claimed_at, settled_at = null, outside = false;
    return ('granted', '', null)::claim_answer;
end
$$;

-- As before, but nobody else ends the claim of a helpdesk outside, also past its lease.
create or replace function end_claim(p_key text, p_state text, p_holder uuid) returns text
language plpgsql as $$
declare
    known claim;
begin
    perform name_for_now('key', p_key);
    select * into known from claim where key = p_key for update;
    if known.state is distinct from 'claimed' then
        return case when known.state = p_state then 'ended' else 'none' end;
    elsif known.holder <> p_holder and (known.outside or known.lease_until > clock_timestamp()) then
        return 'held';
    end if;
    update claim set state = p_state, settled_at = clock_timestamp() where key = p_key;
    return 'ended';
end
$$;

-- As before, but of a reply that a helpdesk outside may have sent only a person says that it never went out: an act
-- with an event. Past its lease such a claim is as good as parked.
create or replace function unpark_item(p_item uuid, p_person text, p_act text, p_event text) returns queue_answer
language plpgsql as $$
declare
    wanted item := lock_item(p_item);
    obstacle queue_answer := not_theirs(wanted, p_person);
    known claim;
begin
    if obstacle.status is not null then
        return obstacle;
    end if;
    select * into known from claim
        where conversation = wanted.conversation and revision = wanted.revision for update;
    if known.state = 'claimed' and known.outside and known.lease_until <= clock_timestamp() then
        known.state := 'parked';
    end if;
    if known.state = 'released' then
        return ('done', '')::queue_answer;
    elsif known.state is distinct from 'parked' then
        return ('not_parked', coalesce(known.state, ''))::queue_answer;
    elsif known.outside and p_event is null then
        return ('not_parked', 'outside')::queue_answer;
    end if;
    update claim set state = 'released', settled_at = clock_timestamp()
        where conversation = wanted.conversation and revision = wanted.revision;
    perform note_act(p_item, p_person, p_act, p_event);
    return ('done', '')::queue_answer;
end
$$;

-- As before, but an item that a person holds or has closed is theirs. Locks in the order of every claim and act.
create or replace function claim_outside(p_ticket uuid, p_account text, p_lease double precision, p_holder uuid)
    returns outside_claim
language plpgsql as $$
declare
    waiting item;
    answer claim_answer;
    reply_key text;
begin
    waiting := left_outside(p_ticket, p_account);
    if waiting.item_id is null then
        return ('unknown', 'no reply to this ticket waits for this account', null, null, null)::outside_claim;
    end if;
    perform name_for_now('conversation', waiting.conversation);
    perform pg_advisory_xact_lock_shared(switch_lock());
    perform from conversation where conversation = waiting.conversation for update;
    waiting := left_outside(p_ticket, p_account);  -- as the last act left it
    reply_key := waiting.event::jsonb ->> 'idempotency_key';
    if not exists (
        select from claim
        where conversation = waiting.conversation and revision = waiting.revision and state <> 'released'
    ) then
        if waiting.state = 'closed' then
            return (
                case when waiting.closed_as = 'rejected' then 'rejected' else 'closed' end,
                'by ' || waiting.closed_by, reply_key, null, null
            )::outside_claim;
        elsif waiting.state = 'held' then
            return ('taken_over', waiting.held_by, reply_key, null, null)::outside_claim;
        elsif waiting.due_at <= clock_timestamp() then
            return ('expired', 'a person looks at it now', reply_key, null, null)::outside_claim;
        end if;
    end if;
    answer := claim(
        p_ticket, waiting.conversation, waiting.revision, 'bot', waiting.event::jsonb -> 'ticket' ->> 'channel',
        waiting.event::jsonb -> 'route' ->> 'intent', waiting.customer_id, reply_key, p_lease, p_holder
    );
    if answer.status <> 'granted' then
        return (answer.status, answer.detail, reply_key, null, null)::outside_claim;
    end if;
    update claim set outside = true where conversation = waiting.conversation and revision = waiting.revision;
    return (
        answer.status, answer.detail, reply_key, waiting.event, clock_timestamp() + make_interval(secs => p_lease)
    )::outside_claim;
end
$$;

create type outside_kept as (
    event text,  -- the approved reply, JSON
    delivery text,
    text text,  -- what went out
    at timestamptz,
    told boolean  -- a person found it sent, and that was told as theirs
);

-- What is kept of a reply that the helpdesk of this account sent; nothing where it sent none.
create function kept_outside(p_ticket uuid, p_account text) returns setof outside_kept
language plpgsql as $$
declare
    waiting item;
begin
    waiting := left_outside(p_ticket, p_account);
    perform name_for_now('conversation', waiting.conversation);
    perform name_for_now('customer', waiting.customer_id);
    return query
        select waiting.event, c.delivery, m.text, c.settled_at, coalesce(waiting.closed_as = 'approved', false)
        from claim as c cross join lateral (
            select said.text from message as said
            where said.conversation = c.conversation and said.revision = c.revision and said.author = 'bot'
                and said.at >= c.settled_at
            order by said.message_id limit 1
        ) as m
        where c.conversation = waiting.conversation and c.revision = waiting.revision
            and c.outside and c.state = 'sent';
end
$$;

-- As before, but only under the helpdesk's own claim: there is none where it asked for none, or somebody else answered.
-- The item and with it the claim are of this one account.
create or replace function settle_outside(p_ticket uuid, p_account text, p_delivery text, p_text text) returns text
language plpgsql as $$
declare
    waiting item;
    drafted text;
    known claim;
begin
    waiting := left_outside(p_ticket, p_account);
    if waiting.item_id is null then
        return null;
    end if;
    perform name_for_now('conversation', waiting.conversation);
    perform from conversation where conversation = waiting.conversation for update;
    select * into known from claim
        where conversation = waiting.conversation and revision = waiting.revision for update;
    if not coalesce(known.outside and known.state in ('claimed', 'parked', 'sent'), false) then
        return null;
    elsif known.state <> 'sent' then
        select string_agg(sentence ->> 'text', ' ' order by place) into drafted
            from jsonb_array_elements(waiting.event::jsonb -> 'draft' -> 'sentences')
                with ordinality as s (sentence, place);
        perform mark_sent(known.key, p_delivery, coalesce(p_text, drafted));
    end if;
    perform name_for_now('key', waiting.key);
    update item set state = 'closed', closed_at = clock_timestamp() where key = waiting.key and state <> 'closed';
    return waiting.event;
end
$$;

-- As before, but only the helpdesk's own claim.
create or replace function release_outside(p_ticket uuid, p_account text, p_holder uuid) returns text
language plpgsql as $$
declare
    waiting item;
begin
    waiting := left_outside(p_ticket, p_account);
    perform name_for_now('conversation', waiting.conversation);
    if not exists (
        select from claim
        where conversation = waiting.conversation and revision = waiting.revision and outside and holder = p_holder
    ) then
        return 'none';
    end if;
    return end_claim(waiting.event::jsonb ->> 'idempotency_key', 'released', p_holder);
end
$$;
grant execute on function kept_outside(uuid, text) to sluice_outcome;
