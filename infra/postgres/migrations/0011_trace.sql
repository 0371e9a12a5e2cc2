-- before deploy
-- An item knows the trace its ticket came by, so that what people do about it joins the same one.
set local role sluice_owner;

alter table item add column traceparent text;  -- W3C Trace Context; NULL where nobody traced
grant update (traceparent) on item to sluice_outcome;

create function open_item(
    p_key text, p_kind text, p_conversation text, p_ticket uuid, p_revision integer, p_customer text, p_reason text,
    p_event text, p_due timestamptz, p_intent text, p_traceparent text
) returns uuid
language plpgsql as $$
declare
    opened uuid := open_item(
        p_key, p_kind, p_conversation, p_ticket, p_revision, p_customer, p_reason, p_event, p_due, p_intent
    );
begin
    update item set traceparent = p_traceparent where key = p_key and traceparent is null;
    return opened;
end
$$;

-- The trace of a reply that was left for a helpdesk outside.
create function trace_outside(p_ticket uuid, p_account text) returns text
language plpgsql as $$
begin
    return (left_outside(p_ticket, p_account)).traceparent;
end
$$;

grant execute on function
    open_item(text, text, text, uuid, integer, text, text, text, timestamptz, text, text), trace_outside(uuid, text)
    to sluice_outcome;
