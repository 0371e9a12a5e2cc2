-- before deploy
-- A revision that waits for a person as one kind is not told as another: what stands on the queue is what is told.
-- It comes of a ticket that was delivered again and decided anew, such as after the switch was armed.
set local role sluice_owner;

-- As before, but NULL also where the key's item is of another kind.
create or replace function open_item(
    p_key text, p_kind text, p_conversation text, p_ticket uuid, p_revision integer, p_customer text, p_reason text,
    p_event text, p_due timestamptz, p_intent text, p_traceparent text
) returns uuid
language plpgsql as $$
declare
    opened uuid;
    opened_as text;
begin
    perform name_for_now('key', p_key);
    perform name_for_now('ticket', p_ticket::text);
    perform name_for_now('conversation', p_conversation);
    perform from conversation where conversation = p_conversation for update;  -- as the claim does
    select item_id, kind into opened, opened_as from item where key = p_key;
    if opened_as <> p_kind then
        return null;
    elsif opened is null and p_kind in ('suggest', 'handoff') and exists (
        select from message where ticket_id = p_ticket and outcome in ('sent', 'superseded')
    ) then
        return null;
    end if;
    opened := open_item(
        p_key, p_kind, p_conversation, p_ticket, p_revision, p_customer, p_reason, p_event, p_due, p_intent
    );
    update item set traceparent = p_traceparent where key = p_key and traceparent is null;
    return opened;
end
$$;
