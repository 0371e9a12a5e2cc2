-- before deploy
-- An automatic answer that its customer came back on, or that the helpdesk reopened, is known as such: told once.
set local role sluice_owner;

alter table claim add column reopened_by text;  -- what came back on it: "ticket:revision", or who else said so

create type reopened as (
    ticket_id uuid,  -- the answered ticket, with its place
    conversation text,
    revision integer,
    channel text,
    intent text,
    received_at timestamptz
);

-- Mark the bot's answer to a revision as reopened; nothing where it is none, or where something else reopened it before.
create function reopen_answer(p_conversation text, p_revision integer, p_by text) returns setof reopened
language plpgsql as $$
declare
    answered claim;
begin
    perform name_for_now('conversation', p_conversation);
    select * into answered from claim where conversation = p_conversation and revision = p_revision for update;
    if answered.actor is distinct from 'bot' or answered.state <> 'sent' or answered.reopened_by <> p_by then
        return;
    end if;
    update claim set reopened_by = p_by
        where conversation = p_conversation and revision = p_revision and reopened_by is null;
    perform name_for_now('ticket', answered.ticket_id::text);
    return query select m.ticket_id, m.conversation, m.revision, m.channel, answered.intent, m.at
        from message as m where m.ticket_id = answered.ticket_id;
end
$$;

-- A customer's later message, by its revision, reopens what was last sent before it: if that was the bot's, and of late.
create function came_back(p_conversation text, p_revision integer, p_by text, p_within interval) returns setof reopened
language plpgsql as $$
declare
    answered claim;
begin
    perform name_for_now('conversation', p_conversation);
    select * into answered from claim
        where conversation = p_conversation and revision < p_revision and state = 'sent'
        order by revision desc limit 1;
    if answered.settled_at > clock_timestamp() - p_within then
        return query select * from reopen_answer(p_conversation, answered.revision, p_by);
    end if;
end
$$;

-- A helpdesk says that a ticket was reopened.
create function reopen_ticket(p_ticket uuid, p_by text) returns setof reopened
language plpgsql as $$
begin
    perform name_for_now('ticket', p_ticket::text);
    return query select r.* from message as m, reopen_answer(m.conversation, m.revision, p_by) as r
        where m.ticket_id = p_ticket;
end
$$;

grant execute on function
    reopen_answer(text, integer, text), came_back(text, integer, text, interval), reopen_ticket(uuid, text)
    to sluice_outcome;
