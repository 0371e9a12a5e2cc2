-- before deploy
-- A customer who asks about something else does not come back on an answer: the caller may name the answer's topic.
set local role sluice_owner;

drop function came_back(text, integer, text, interval);

-- A customer's later message, by its revision, reopens what was last sent before it: if that was the bot's, of late, and
-- about the topic where one is given.
create function came_back(p_conversation text, p_revision integer, p_by text, p_within interval, p_topic text)
    returns setof reopened
language plpgsql as $$
declare
    answered claim;
begin
    perform name_for_now('conversation', p_conversation);
    select * into answered from claim
        where conversation = p_conversation and revision < p_revision and state = 'sent'
        order by revision desc limit 1;
    if answered.settled_at > clock_timestamp() - p_within and answered.intent = coalesce(p_topic, answered.intent) then
        return query select * from reopen_answer(p_conversation, answered.revision, p_by);
    end if;
end
$$;

grant execute on function came_back(text, integer, text, interval, text) to sluice_outcome;
