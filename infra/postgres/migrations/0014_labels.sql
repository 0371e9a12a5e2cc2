-- before deploy
-- Audits of answers that went out by themselves, and what the live guard keeps of them. The guard has a login of its own:
-- it reads verdicts without texts or names, and may set the switch. A verdict is never changed.
do $$
begin
    if not exists (select from pg_roles where rolname = 'sluice_guard') then
        create role sluice_guard login nosuperuser nobypassrls nocreatedb nocreaterole;
        alter role sluice_guard set statement_timeout = '5s';
        alter role sluice_guard set idle_in_transaction_session_timeout = '3s';
    end if;
exception
    when duplicate_object or unique_violation then null;  -- a migration of another database was faster
end
$$;
grant usage on schema public to sluice_guard;

set local role sluice_owner;

create index claim_sent on claim (settled_at) where state = 'sent' and actor = 'bot';

-- The random sample: an answer is drawn once, and waits until somebody has audited it.
create table audit_draw (
    ticket_id uuid not null,
    revision integer not null,
    seed text not null,
    drawn_at timestamptz not null default clock_timestamp(),
    primary key (ticket_id, revision)
);

-- One verdict of one auditor on one answer; nothing wrote to this table before.
alter table label drop column label;
alter table label rename column labeller to auditor;
alter table label rename column labelled_at to at;
alter table label
    add column kind text not null check (kind in ('person', 'machine')),
    add column verdict text not null check (verdict in ('good', 'bad', 'unsure')),
    add column reason text not null,
    add column intent text not null,
    add column drawn boolean not null,  -- of the random sample; else somebody picked it
    add column answered_at timestamptz not null,
    add constraint label_once unique (ticket_id, revision, kind, auditor);

-- All that the guard has read and concluded, as one value: it is changed as a whole or not at all.
create table guard (
    one boolean primary key default true check (one),  -- row
    version bigint not null,
    state jsonb not null,
    saved_at timestamptz not null default clock_timestamp()
);

-- Keep a verdict on an answer that went out by itself, and answer its number; NULL where there is no such answer, or this
-- auditor judged it before. One at a time, so that whoever reads by number misses none that is committed later.
create function record_label(
    p_ticket uuid, p_revision integer, p_auditor text, p_kind text, p_verdict text, p_reason text
) returns bigint
language plpgsql as $$
declare
    added bigint;
begin
    perform pg_advisory_xact_lock(7553221002);
    insert into label (ticket_id, revision, auditor, kind, verdict, reason, intent, drawn, answered_at)
        select p_ticket, p_revision, p_auditor, p_kind, p_verdict, p_reason, intent,
            exists (select from audit_draw where ticket_id = p_ticket and revision = p_revision), settled_at
        from claim
        where ticket_id = p_ticket and revision = p_revision and state = 'sent' and actor = 'bot'
        on conflict on constraint label_once do nothing
        returning label_id into added;
    return added;
end
$$;

-- Put what the guard knows in the place of the version it has read; the new version, or NULL where that is not the one.
create function save_guard(p_version bigint, p_state jsonb) returns bigint
language plpgsql as $$
declare
    saved bigint;
begin
    if p_version = 0 then
        insert into guard (version, state) values (1, p_state) on conflict do nothing returning version into saved;
    else
        update guard set version = version + 1, state = p_state, saved_at = clock_timestamp()
            where version = p_version returning version into saved;
    end if;
    return saved;
end
$$;

alter table audit_draw enable row level security;
alter table audit_draw force row level security;
create policy owner on audit_draw to sluice_owner using (true) with check (true);
create policy auditor on audit_draw to sluice_auditor using (true) with check (true);
create policy auditing on label for insert to sluice_auditor with check (true);
create policy guard on label for select to sluice_guard using (true);

-- Who audits is no agent of the queue.
drop policy people on label;
create policy people on label for select to sluice_people using (true);
revoke insert on label from sluice_people;

grant select, insert on audit_draw to sluice_auditor;
grant insert on label to sluice_auditor;
grant select on guard to sluice_auditor;
grant execute on function record_label(uuid, integer, text, text, text, text) to sluice_auditor;

grant select (label_id, ticket_id, revision, kind, verdict, intent, drawn, answered_at) on label to sluice_guard;
grant select, insert, update on guard to sluice_guard;
grant select, insert, update on switch to sluice_guard;
grant select, insert on switch_log to sluice_guard;
grant execute on function
    save_guard(bigint, jsonb), switch_lock(), strictness(text),
    switch_set(text, text, text, text, text, timestamptz, bigint, bigint, bigint, bigint)
    to sluice_guard;
