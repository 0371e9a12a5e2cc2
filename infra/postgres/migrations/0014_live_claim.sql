-- before deploy
-- Nothing is put on the people's queue while its reply is on its way, nor beside one that may have been sent.
set local role sluice_owner;

-- As before, but it fails for the moment while a claim is open, and NULL where the reply is parked.
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
    return opened;
end
$$;
