-- before deploy
-- A dead letter that went on its way again and ended well is nobody's any more: its item closes as the ticket ends.
set local role sluice_owner;

-- The stage may look at and close the dead item of the ticket it works on, beside the items it names by key.
create policy redriven on item for select to sluice_outcome
    using (kind = 'dead' and ticket_id = setting('ticket')::uuid);
create policy closing on item for update to sluice_outcome
    using (kind = 'dead' and ticket_id = setting('ticket')::uuid)
    with check (kind = 'dead' and ticket_id = setting('ticket')::uuid);

-- Close the dead items of a ticket that nobody has taken.
create function close_dead(p_ticket uuid) returns void
language plpgsql as $$
begin
    perform name_for_now('ticket', p_ticket::text);
    update item set state = 'closed', closed_at = clock_timestamp()
        where ticket_id = p_ticket and kind = 'dead' and state = 'open';
end
$$;

-- As before, but a dead letter of the ticket is done with.
create or replace function mark_sent(p_key text, p_delivery text, p_text text) returns boolean
language plpgsql as $$
declare
    settled claim;
begin
    perform name_for_now('key', p_key);
    update claim set state = 'sent', delivery = p_delivery, settled_at = clock_timestamp()
        where key = p_key and state in ('claimed', 'parked') returning * into settled;
    if not found then
        return exists (select from claim where key = p_key and state = 'sent');
    end if;
    perform name_for_now('conversation', settled.conversation);
    perform name_for_now('customer', settled.customer_id);
    perform name_for_now('ticket', settled.ticket_id::text);
    insert into message (conversation, revision, author, customer_id, channel, text, at)
        values (settled.conversation, settled.revision, case settled.actor when 'bot' then 'bot' else 'person' end,
            settled.customer_id, settled.channel, p_text, clock_timestamp());
    update message set outcome = 'sent', intent = settled.intent where ticket_id = settled.ticket_id;
    perform close_dead(settled.ticket_id);
    return true;
end
$$;

-- As before, but a dead letter of what was overtaken is done with.
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
    perform name_for_now('ticket', p_ticket::text);
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

    if p_actor = 'bot' and exists (select from item where key = p_key) then
        return ('taken_over', 'it is on the people''s queue', null)::claim_answer;
    elsif p_revision < place.revision then
        update message set outcome = 'superseded' where ticket_id = p_ticket and outcome is null;
        perform close_dead(p_ticket);
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

-- As before, but once the ticket is somebody's in this way, a dead letter of it is not a second time.
create or replace function open_item(
    p_key text, p_kind text, p_conversation text, p_ticket uuid, p_revision integer, p_customer text, p_reason text,
    p_event text, p_due timestamptz, p_intent text, p_traceparent text
) returns uuid
language plpgsql as $$
declare
    opened uuid;
    opened_as text;
    known claim;
begin
    perform name_for_now('key', p_key);
    perform name_for_now('ticket', p_ticket::text);
    perform name_for_now('conversation', p_conversation);
    perform from conversation where conversation = p_conversation for update;  -- as the claim does
    select item_id, kind into opened, opened_as from item where key = p_key;
    if opened_as <> p_kind then
        return null;
    elsif opened is null and p_kind in ('suggest', 'handoff') then
        select * into known from claim where conversation = p_conversation and revision = p_revision;
        if known.state = 'claimed' then
            raise lock_not_available using message = 'its reply is on its way: how that ends decides';
        elsif known.state in ('sent', 'parked') or exists (
            select from message where ticket_id = p_ticket and outcome in ('sent', 'superseded', 'parked')
        ) then
            return null;
        end if;
    end if;
    opened := open_item(
        p_key, p_kind, p_conversation, p_ticket, p_revision, p_customer, p_reason, p_event, p_due, p_intent
    );
    update item set traceparent = p_traceparent where key = p_key and traceparent is null;
    if p_kind in ('suggest', 'handoff') then
        perform close_dead(p_ticket);
    end if;
    return opened;
end
$$;

grant execute on function close_dead(uuid) to sluice_outcome, sluice_people;
