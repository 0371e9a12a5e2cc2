-- before deploy
-- The login roles and the vector extension. Whoever migrates the first time owns the database and may create roles;
-- where they are no superuser, a superuser has created the extension before. Roles belong to the whole cluster, so
-- another database may have made them. No role has a password here: the embedded server trusts its Unix socket, and a
-- deployment sets passwords (or certificates) outside the migrations: alter role sluice_router password '...';
create extension if not exists vector;

do $$
declare
    login record;
begin
    for login in
        select * from (values
            -- role, longest statement, longest idle transaction
            ('sluice_owner', '10min', '10min'),
            ('sluice_edge', '5s', '10s'),
            ('sluice_router', '5s', '10s'),
            ('sluice_retrieval', '5s', '10s'),
            ('sluice_resolution', '5s', '10s'),
            ('sluice_gate', '5s', '10s'),
            ('sluice_outcome', '5s', '10s'),
            ('sluice_people', '30s', '30s'),
            ('sluice_auditor', '5min', '1min')
        ) as roles (name, statement, idle)
    loop
        continue when exists (select from pg_roles where rolname = login.name);
        begin
            execute format('create role %I login nosuperuser nobypassrls nocreatedb nocreaterole', login.name);
            execute format('alter role %I set statement_timeout = %L', login.name, login.statement);
            execute format('alter role %I set idle_in_transaction_session_timeout = %L', login.name, login.idle);
        exception
            when duplicate_object or unique_violation then null;  -- a migration of another database was faster
        end;
    end loop;
    -- Whoever migrates acts as sluice_owner, so that no object belongs to a superuser.
    if not pg_has_role(current_user, 'sluice_owner', 'set') then
        execute format('grant sluice_owner to %I', current_user);
    end if;
    execute format('revoke temporary on database %I from public', current_database());
end
$$;

revoke all on schema public from public;
grant usage, create on schema public to sluice_owner;
grant usage on schema public to
    sluice_edge, sluice_router, sluice_retrieval, sluice_resolution, sluice_gate, sluice_outcome, sluice_people,
    sluice_auditor;
alter table migration owner to sluice_owner;
