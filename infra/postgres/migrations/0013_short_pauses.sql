-- before deploy
-- A stop waits for every transaction that holds the switch's lock, or a conversation that one of those waits for. Each is
-- one call of one function, so a client that stands still within one is broken, and ended before `sluice switch` gives up
-- on the table (5 s). Where the migration may not alter the roles, whoever made them sets this.
do $$
declare
    login text;
begin
    foreach login in array array['sluice_edge', 'sluice_router', 'sluice_outcome', 'sluice_people'] loop
        execute format('alter role %I set idle_in_transaction_session_timeout = %L', login, '3s');
    end loop;
exception
    when insufficient_privilege then
        raise warning 'set idle_in_transaction_session_timeout to 3s for the roles of edge, router, outcome and people';
end
$$;
