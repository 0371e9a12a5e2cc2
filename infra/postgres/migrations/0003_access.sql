-- before deploy
-- Who may see which rows, and touch which columns. A stage sees the rows of the customer (or, where none is proved, of
-- the conversation) it has named for the running transaction, and none when it has named nobody.
set local role sluice_owner;

-- The value a transaction has named, by set_config('sluice.<name>', value, true). After a transaction that did so the
-- setting reads '' instead of NULL for the next borrower of the connection: both mean nobody.
create function setting(name text) returns text
language sql stable parallel safe
return nullif(current_setting('sluice.' || name, true), '');

do $$
declare
    guarded text;
begin
    foreach guarded in array array[
        'kb_article', 'kb_section', 'crm_customer', 'crm_record', 'conversation', 'message', 'claim', 'item', 'decision',
        'ledger', 'label', 'helpdesk_delivery'
    ] loop
        execute format('alter table %I enable row level security', guarded);
        execute format('alter table %I force row level security', guarded);
        execute format('create policy owner on %I to sluice_owner using (true) with check (true)', guarded);
        execute format('create policy auditor on %I for select to sluice_auditor using (true)', guarded);
    end loop;
end
$$;
grant select on all tables in schema public to sluice_auditor;

-- The help centre: a stage sees what is public, whatever it asks.
create policy stage on kb_article for select to sluice_retrieval using (audience = 'public');
create policy stage on kb_section for select to sluice_retrieval using (audience = 'public');
create policy people on kb_article for select to sluice_people using (true);
create policy people on kb_section for select to sluice_people using (true);
grant select on kb_article, kb_section, kb_word to sluice_retrieval, sluice_people;

-- Customers. The router turns a proof into a customer, so it may look up the one address it has named.
create policy stage on crm_customer for select to sluice_router
    using (customer_id = setting('customer') or lower(email) = setting('email'));
create policy stage on crm_record for select to sluice_router
    using (customer_id = setting('customer') and kind = 'ticket');
create policy facts on crm_record for select to sluice_retrieval
    using (customer_id = setting('customer'));
create policy people on crm_customer for select to sluice_people using (true);
create policy people on crm_record for select to sluice_people using (true);
grant select on crm_customer, crm_record to sluice_router, sluice_people;
grant select on crm_record to sluice_retrieval;

-- Conversations: the row carries no customer data, but a stage sees only the one it works on.
create policy stage on conversation to sluice_router, sluice_outcome
    using (conversation = setting('conversation')) with check (conversation = setting('conversation'));
create policy people on conversation to sluice_people using (true) with check (true);
grant select, insert (conversation), update (revision, touched_at) on conversation to sluice_router;
grant select, update (touched_at) on conversation to sluice_outcome;
grant select, insert (conversation, owner, person), update (owner, person, touched_at) on conversation to sluice_people;

-- Messages: those of the proved customer; of an unproved sender, those of this conversation that nobody proved.
create policy stage on message to sluice_router, sluice_outcome
    using (
        customer_id = setting('customer')
        or (customer_id is null and conversation = setting('conversation'))
    )
    with check (conversation = setting('conversation') and customer_id is not distinct from setting('customer'));
-- An outcome is noted on the ticket it is about, before its customer is known.
create policy settled on message for select to sluice_outcome using (ticket_id = setting('ticket')::uuid);
create policy settling on message for update to sluice_outcome
    using (ticket_id = setting('ticket')::uuid) with check (ticket_id = setting('ticket')::uuid);
create policy people on message to sluice_people using (true) with check (true);
grant select, insert on message to sluice_router, sluice_outcome, sluice_people;
grant update (intent, outcome) on message to sluice_outcome, sluice_people;

-- Claims and items: by customer or conversation, or by the one key that names it.
create policy stage on claim to sluice_outcome
    using (conversation = setting('conversation') or key = setting('key'))
    with check (conversation = setting('conversation') or key = setting('key'));
create policy people on claim to sluice_people using (true) with check (true);
grant select, insert, update on claim to sluice_outcome, sluice_people;

create policy stage on item to sluice_outcome using (key = setting('key')) with check (key = setting('key'));
create policy people on item to sluice_people using (true) with check (true);
grant select, insert on item to sluice_outcome;
grant select, update (state, held_by, closed_at) on item to sluice_people;

create policy stage on decision to sluice_outcome
    using (ticket_id = setting('ticket')::uuid) with check (ticket_id = setting('ticket')::uuid);
create policy people on decision for select to sluice_people using (true);
grant select, insert on decision to sluice_outcome;
grant select on decision to sluice_people;

-- The ledger: append only, and only the chain that grows.
create policy stage on ledger to sluice_router, sluice_resolution
    using (chain = setting('chain')) with check (chain = setting('chain'));
grant select, insert on ledger to sluice_router, sluice_resolution;

create policy people on label to sluice_people using (true) with check (true);
grant select, insert on label to sluice_people;

-- The switch holds no customer data beyond an id, and a claim must see every scope.
grant select, insert, update on switch to sluice_outcome, sluice_people;
grant select, insert on switch_log to sluice_outcome, sluice_people;

create policy stage on helpdesk_delivery to sluice_outcome
    using (key = setting('key')) with check (key = setting('key'));
grant select, insert on helpdesk_delivery to sluice_outcome;
