-- before deploy
-- Acknowledgements of hand-overs, and claims by a helpdesk outside that delivers by itself.
set local role sluice_owner;

-- -- acknowledgements

create table acknowledgement (
    key text primary key,  -- the revision that was handed over
    conversation text not null references conversation,
    at timestamptz not null default clock_timestamp()
);
create index acknowledgement_conversation on acknowledgement (conversation, at);

alter table acknowledgement enable row level security;
alter table acknowledgement force row level security;
create policy owner on acknowledgement to sluice_owner using (true) with check (true);
create policy auditor on acknowledgement for select to sluice_auditor using (true);
create policy stage on acknowledgement to sluice_outcome
    using (conversation = setting('conversation')) with check (conversation = setting('conversation'));
grant select on acknowledgement to sluice_auditor;
grant select, insert on acknowledgement to sluice_outcome;

-- Whether the bot may tell this customer, once, that a person will answer: the conversation is the bot's, the switch is
-- open, and nothing automatic went out in it during the period.
create function may_acknowledge(
    p_conversation text, p_key text, p_channel text, p_intent text, p_customer text, p_period interval
) returns boolean
language plpgsql as $$
declare
    place conversation;
begin
    perform name_for_now('conversation', p_conversation);
    perform name_for_now('customer', p_customer);
    perform pg_advisory_xact_lock_shared(switch_lock());
    select * into place from conversation where conversation = p_conversation for update;
    if not found or place.owner <> 'bot' or stopping_scope(p_channel, p_intent, p_customer) is not null then
        return false;
    end if;
    if exists (
        select from acknowledgement where conversation = p_conversation and at > clock_timestamp() - p_period
    ) or exists (
        select from message where conversation = p_conversation and author = 'bot' and at > clock_timestamp() - p_period
    ) then
        return false;
    end if;
    insert into acknowledgement (key, conversation) values (p_key, p_conversation) on conflict (key) do nothing;
    return found;
end
$$;

-- Add the acknowledgement that went out to the transcript.
create function acknowledged(p_conversation text, p_customer text, p_channel text, p_text text) returns void
language plpgsql as $$
begin
    perform name_for_now('conversation', p_conversation);
    perform name_for_now('customer', p_customer);
    insert into message (conversation, revision, author, customer_id, channel, text, at)
        select p_conversation, revision, 'bot', p_customer, p_channel, p_text, clock_timestamp()
        from conversation where conversation = p_conversation;
end
$$;
grant execute on function
    may_acknowledge(text, text, text, text, text, interval), acknowledged(text, text, text, text)
    to sluice_outcome;


-- -- claims by a helpdesk outside

grant update (state, closed_at) on item to sluice_outcome;

create type outside_claim as (
    status text,  -- as a claim's; expired, where the time for it is over
    detail text,
    key text,
    event text,  -- the approved reply, JSON; only where it was granted
    lease_until timestamptz
);

-- The item under which an approved reply waits for the helpdesk of its account, with the event it came from. There is
-- none for another account's.
create function left_outside(p_ticket uuid, p_account text) returns item
language plpgsql as $$
declare
    asked message;
    waiting item;
begin
    perform name_for_now('ticket', p_ticket::text);
    select * into asked from message where ticket_id = p_ticket;
    perform name_for_now('key', format('%s:%s:outside', p_ticket, asked.revision));
    select * into waiting from item where key = format('%s:%s:outside', p_ticket, asked.revision);
    if waiting.event::jsonb -> 'ticket' ->> 'account' is distinct from p_account then
        return null;
    end if;
    return waiting;
end
$$;

-- Claim the approved reply to a ticket for the helpdesk of its account: the same claim as the bot's own.
create function claim_outside(p_ticket uuid, p_account text, p_lease double precision, p_holder uuid)
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
    reply_key := waiting.event::jsonb ->> 'idempotency_key';
    if waiting.due_at <= clock_timestamp() then
        return ('expired', 'a person looks at it now', reply_key, null, null)::outside_claim;
    end if;
    answer := claim(
        p_ticket, waiting.conversation, waiting.revision, 'bot', waiting.event::jsonb -> 'ticket' ->> 'channel',
        waiting.event::jsonb -> 'route' ->> 'intent', waiting.customer_id, reply_key, p_lease, p_holder
    );
    return (
        answer.status, answer.detail, reply_key, case when answer.status = 'granted' then waiting.event end,
        case when answer.status = 'granted' then clock_timestamp() + make_interval(secs => p_lease) end
    )::outside_claim;
end
$$;

-- Note that the helpdesk sent the reply it had claimed, and close its item; answers the event, or nothing where there
-- is no such claim.
create function settle_outside(p_ticket uuid, p_account text, p_delivery text, p_text text) returns text
language plpgsql as $$
declare
    waiting item;
    drafted text;
begin
    waiting := left_outside(p_ticket, p_account);
    select string_agg(sentence ->> 'text', ' ' order by place) into drafted
        from jsonb_array_elements(waiting.event::jsonb -> 'draft' -> 'sentences') with ordinality as s (sentence, place);
    if waiting.item_id is null or not mark_sent(
        waiting.event::jsonb ->> 'idempotency_key', p_delivery, coalesce(p_text, drafted)
    ) then
        return null;
    end if;
    perform name_for_now('key', waiting.key);
    update item set state = 'closed', closed_at = clock_timestamp() where key = waiting.key and state <> 'closed';
    return waiting.event;
end
$$;

-- Give a claim back under which the helpdesk sent nothing; a person sees the item, and it may be claimed again.
create function release_outside(p_ticket uuid, p_account text, p_holder uuid) returns text
language plpgsql as $$
declare
    waiting item;
begin
    waiting := left_outside(p_ticket, p_account);
    if waiting.item_id is null then
        return 'none';
    end if;
    return end_claim(waiting.event::jsonb ->> 'idempotency_key', 'released', p_holder);
end
$$;
grant execute on function
    left_outside(uuid, text), claim_outside(uuid, text, double precision, uuid),
    settle_outside(uuid, text, text, text), release_outside(uuid, text, uuid)
    to sluice_outcome;
