-- before deploy
-- The transactions of Sluice, one function each, so that one round trip in autocommit mode is one transaction. All run
-- with the caller's own rights: none is SECURITY DEFINER. Each names its customer and conversation itself, for itself
-- alone (set_config(..., true)), because the caller cannot know them before.
set local role sluice_owner;

-- Transactions that send take this lock shared, changes of the switch take it exclusively: a stop that has returned
-- holds for every claim that follows. A row lock instead lets a stream of claims starve the stop for seconds.
create function switch_lock() returns bigint language sql immutable parallel safe return 7553221001;

create function name_for_now(name text, value text) returns void
language plpgsql as $$
begin
    perform set_config('sluice.' || name, coalesce(value, ''), true);
end
$$;


-- -- admission

-- The customer a proof names, or NULL. An address that several customers share proves nobody.
create function proved_customer(p_proof text, p_value text) returns text
language plpgsql as $$
declare
    proved text;
begin
    if p_proof = 'api_key' then
        perform name_for_now('customer', p_value);
        select customer_id into proved from crm_customer where customer_id = p_value;
    elsif p_proof = 'dmarc' then
        perform name_for_now('customer', null);
        perform name_for_now('email', lower(p_value));
        select min(customer_id) into proved from crm_customer
            where lower(email) = lower(p_value) having count(*) = 1;
        perform name_for_now('email', null);
    end if;
    perform name_for_now('customer', proved);
    return proved;
end
$$;

-- A moment as the shop wrote it, or NULL where it wrote something else.
create function moment_of(p_text text) returns timestamptz
language sql stable
return case when pg_input_is_valid(p_text, 'timestamptz') then p_text::timestamptz end;

create type admission as (
    status text,  -- admitted, redelivered, conflict
    revision integer,
    customer_id text,
    owner text,
    transcript jsonb,
    earlier jsonb
);

create function admit(
    p_ticket uuid, p_conversation text, p_proof text, p_proved text, p_channel text, p_subject text, p_text text,
    p_hash text, p_at timestamptz
) returns admission
language plpgsql as $$
declare
    answer admission;
    place conversation;
    known message;
begin
    perform name_for_now('conversation', p_conversation);
    answer.customer_id := proved_customer(p_proof, p_proved);

    insert into conversation as c (conversation) values (p_conversation)
        on conflict (conversation) do update set touched_at = clock_timestamp()
        returning * into place;  -- and the row is locked until the end of this call
    answer.owner := place.owner;

    select * into known from message where ticket_id = p_ticket;
    if found then
        answer.status := 'redelivered';
    else
        insert into message
            (conversation, revision, author, ticket_id, customer_id, channel, subject, text, body_hash, at)
        values (p_conversation, place.revision + 1, 'customer', p_ticket, answer.customer_id, p_channel, p_subject,
            p_text, p_hash, p_at)
        on conflict (ticket_id) do nothing
        returning * into known;
        answer.status := case when found then 'admitted' else 'conflict' end;  -- it exists where we may not look
    end if;
    if answer.status = 'conflict' or known.body_hash <> p_hash or known.conversation <> p_conversation then
        answer.status := 'conflict';
        return answer;
    end if;
    if answer.status = 'admitted' then
        update conversation set revision = known.revision where conversation = p_conversation;
    end if;

    answer.revision := known.revision;
    answer.customer_id := known.customer_id;
    -- The last messages, each cut, so that the event they travel in stays far below its topic's limit.
    select jsonb_agg(jsonb_build_object('author', m.author, 'text', left(m.text, 8000), 'at', m.at) order by m.message_id)
        into answer.transcript
        from (
            select * from message where conversation = p_conversation and message_id < known.message_id
            order by message_id desc limit 20
        ) as m;
    select jsonb_agg(to_jsonb(e) order by e.received_at)
        into answer.earlier
        from (
            select ticket_id::text, subject, intent, outcome, at as received_at
            from message
            where customer_id = known.customer_id and conversation <> p_conversation and ticket_id is not null
                and message_id < known.message_id
            union all
            select substr(record, 8), coalesce(fields ->> 'subject', ''), null, fields ->> 'status', created
            from crm_record, moment_of(fields ->> 'created_at') as created
            where customer_id = known.customer_id and kind = 'ticket' and created < p_at
            order by received_at desc limit 5
        ) as e;
    return answer;
end
$$;


-- -- claims

create type claim_answer as (status text, detail text, delivery text);

-- The scope that stops a ticket, in words, or NULL when all that match are `auto`. Without a row for `all` the
-- deployment is fresh and stands at `suggest`.
create function stopping_scope(p_channel text, p_intent text, p_customer text) returns text
language sql
begin atomic
    select concat(scope, ' is ', state, ': ', why)
    from (
        select concat_ws(':', scope_kind, nullif(scope_value, '')) as scope, state, why
        from switch
        where scope_kind = 'all'
            or (scope_kind = 'channel' and scope_value = p_channel)
            or (scope_kind = 'intent' and scope_value = p_intent)
            or (scope_kind = 'customer' and scope_value = p_customer)
        union all
        select 'all', 'suggest', 'nobody has armed this deployment'
        where not exists (select from switch where scope_kind = 'all')
    ) as matching
    where state <> 'auto'
    order by state  -- off before suggest
    limit 1;
end;

-- Why a person may not answer this revision, or NULL when they hold its item.
create function not_held_by(p_person text, p_conversation text, p_revision integer) returns text
language plpgsql as $$
declare
    holder text;
begin
    select held_by into holder from item
        where conversation = p_conversation and revision = p_revision and state = 'held'
        order by held_by = p_person desc limit 1;
    return case when holder = p_person then null else coalesce(holder, 'nobody') || ' holds this item' end;
end
$$;

create function claim(
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
    elsif known.state = 'claimed' then
        return ('ambiguous', '', null)::claim_answer;
    end if;

    if p_revision < place.revision then
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
            lease_until = excluded.lease_until, claimed_at = excluded.claimed_at, settled_at = null;
    return ('granted', '', null)::claim_answer;
end
$$;

-- Note that the reply went out, and add it to the transcript. False when there is no claim it could belong to.
create function mark_sent(p_key text, p_delivery text, p_text text) returns boolean
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
    return true;
end
$$;

-- End a claim without a reply: 'released' when nothing was sent, 'parked' when it may have been. Whoever was granted it
-- may, and anybody once its lease is over: a worker that lags must not end the claim of the one that took its place.
-- Answers ended, held (by another worker, within its lease), or none.
create function end_claim(p_key text, p_state text, p_holder uuid) returns text
language plpgsql as $$
declare
    known claim;
begin
    perform name_for_now('key', p_key);
    select * into known from claim where key = p_key for update;
    if known.state is distinct from 'claimed' then
        return case when known.state = p_state then 'ended' else 'none' end;
    elsif known.holder <> p_holder and known.lease_until > clock_timestamp() then
        return 'held';
    end if;
    update claim set state = p_state, settled_at = clock_timestamp() where key = p_key;
    return 'ended';
end
$$;


-- -- people

-- Make a conversation a person's, with its open items. One that was never admitted becomes theirs in advance.
create function take_over(p_conversation text, p_person text) returns void
language plpgsql as $$
begin
    insert into conversation as c (conversation, owner, person) values (p_conversation, 'person', p_person)
        on conflict (conversation) do update set owner = 'person', person = p_person, touched_at = clock_timestamp();
    update item set state = 'held', held_by = p_person where conversation = p_conversation and state <> 'closed';
end
$$;

create function give_back(p_conversation text) returns void
language plpgsql as $$
begin
    update conversation set owner = 'bot', person = null, touched_at = clock_timestamp()
        where conversation = p_conversation;
    update item set state = 'open', held_by = null where conversation = p_conversation and state = 'held';
end
$$;

-- Put something on the people's queue, once per key; answers the item's id.
create function open_item(
    p_key text, p_kind text, p_conversation text, p_ticket uuid, p_revision integer, p_customer text, p_reason text,
    p_event text, p_due timestamptz, p_intent text
) returns uuid
language plpgsql as $$
declare
    opened uuid;
begin
    perform name_for_now('key', p_key);
    perform name_for_now('ticket', p_ticket::text);
    insert into item (key, kind, conversation, ticket_id, revision, customer_id, reason, event, due_at)
        values (p_key, p_kind, p_conversation, p_ticket, p_revision, p_customer, p_reason, p_event, p_due)
        on conflict (key) do nothing returning item_id into opened;
    if not found then
        return (select item_id from item where key = p_key);
    end if;
    update message set outcome = p_kind, intent = coalesce(p_intent, intent)
        where ticket_id = p_ticket and outcome is distinct from 'sent';
    return opened;
end
$$;

-- Keep the gate's decision on a revision; the first record of it stays.
create function record_decision(
    p_ticket uuid, p_revision integer, p_disposition text, p_rule text, p_record jsonb, p_at timestamptz
) returns void
language plpgsql as $$
begin
    perform name_for_now('ticket', p_ticket::text);
    insert into decision (ticket_id, revision, conversation, customer_id, disposition, rule, record, decided_at)
        select p_ticket, p_revision, m.conversation, m.customer_id, p_disposition, p_rule, p_record, p_at
        from (select 1) as always left join message as m on m.ticket_id = p_ticket
        on conflict (ticket_id, revision) do nothing;
end
$$;


-- -- customers, ledger, helpdesk

-- The records of one customer that an answer may use.
create function customer_facts(p_customer text, p_kinds text[]) returns setof crm_record
language plpgsql as $$
begin
    perform name_for_now('customer', p_customer);
    return query select * from crm_record
        where customer_id = p_customer and kind = any (p_kinds) order by kind, record;
end
$$;

-- Append to a hash chain. The record is canonical JSON (keys sorted, no spaces) around the caller's own.
create function ledger_append(p_chain text, p_entry text) returns ledger
language plpgsql as $$
declare
    head ledger;
    added ledger;
begin
    perform name_for_now('chain', p_chain);
    perform pg_advisory_xact_lock(hashtextextended('ledger ' || p_chain, 0));
    select * into head from ledger where chain = p_chain order by sequence desc limit 1;
    added.chain := p_chain;
    added.sequence := coalesce(head.sequence, 0) + 1;
    added.previous := coalesce(head.hash, '');
    added.record := format('{"at":"%s","entry":%s,"sequence":%s}',
        to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), p_entry, added.sequence);
    added.hash := encode(sha256(convert_to(added.previous || added.record, 'UTF8')), 'hex');
    insert into ledger select added.*;
    return added;
end
$$;

-- What the recorded helpdesk does with a call; answers its reference.
create function helpdesk_receive(
    p_act text, p_key text, p_ticket uuid, p_conversation text, p_channel text, p_text text, p_payload text
) returns text
language plpgsql as $$
declare
    reference text;
begin
    perform name_for_now('key', p_key);
    insert into helpdesk_delivery (act, key, ticket_id, conversation, channel, text, payload)
        values (p_act, p_key, p_ticket, p_conversation, p_channel, p_text, p_payload)
        returning 'recorded-' || delivery_id into reference;
    return reference;
end
$$;

-- The reference of the first call under a key, or NULL.
create function helpdesk_find(p_key text) returns text
language plpgsql as $$
begin
    perform name_for_now('key', p_key);
    return (select 'recorded-' || min(delivery_id) from helpdesk_delivery where key = p_key);
end
$$;


-- -- the switch

create function strictness(state text) returns integer
language sql immutable parallel safe
return array_position(array['off', 'suggest', 'auto'], state);

-- Set a scope, or mirror a record of the topic. A tightening always applies; a loosening must name the stop it lifts, by
-- offset or sequence (of a fresh deployment: -1 and 0). Answers the scope's row, or nothing when it is ignored.
create function switch_set(
    p_kind text, p_value text, p_state text, p_why text, p_actor text, p_at timestamptz,
    p_sequence bigint,  -- of the row written with the record; 0: there is none
    p_offset bigint,  -- of the record on the topic; NULL: it is not there (yet)
    p_lifts_offset bigint, p_lifts_sequence bigint
) returns setof switch
language plpgsql as $$
declare
    now_row switch;
    written bigint;
begin
    perform pg_advisory_xact_lock(switch_lock());
    select * into now_row from switch where scope_kind = p_kind and scope_value = p_value;
    if not found then
        now_row.state := case p_kind when 'all' then 'suggest' else 'auto' end;
        now_row.sequence := 0;
        now_row.topic_offset := -1;
        now_row.seen_offset := -1;
    end if;

    -- Read again after a restart. An offset seen before with a newer time is the record of a topic that began anew.
    if p_offset <= now_row.seen_offset and p_at <= now_row.seen_at then
        return query select * from switch
            where scope_kind = p_kind and scope_value = p_value and topic_offset = p_offset;
        return;
    end if;
    if exists (
        select from switch_log
        where sequence = p_sequence and scope_kind = p_kind and scope_value = p_value and state = p_state
            and abs(extract(epoch from set_at - p_at)) < 1  -- second
    ) then  -- its row was written before it was published: it takes effect once
        return query update switch
            set seen_offset = coalesce(p_offset, seen_offset), seen_at = greatest(seen_at, p_at),
                topic_offset = case when sequence = p_sequence then coalesce(p_offset, topic_offset) else topic_offset end
            where scope_kind = p_kind and scope_value = p_value
            returning *;
        return;
    end if;
    if strictness(p_state) > strictness(now_row.state) and not coalesce(
        case
            when now_row.sequence = 0 then p_lifts_offset = -1 and p_lifts_sequence = 0
            else p_lifts_sequence = now_row.sequence or (p_lifts_offset >= 0 and p_lifts_offset = now_row.topic_offset)
        end, false
    ) then
        update switch set seen_offset = coalesce(p_offset, seen_offset), seen_at = greatest(seen_at, p_at)
            where scope_kind = p_kind and scope_value = p_value;
        return;
    end if;

    insert into switch_log (scope_kind, scope_value, state, why, actor, set_at)
        values (p_kind, p_value, p_state, p_why, p_actor, p_at) returning sequence into written;
    return query insert into switch as s
        (scope_kind, scope_value, state, why, actor, set_at, sequence, topic_offset, seen_offset, seen_at)
    values (p_kind, p_value, p_state, p_why, p_actor, p_at, written, coalesce(p_offset, -1), coalesce(p_offset, -1),
        p_at)
    on conflict (scope_kind, scope_value) do update
        set state = excluded.state, why = excluded.why, actor = excluded.actor, set_at = excluded.set_at,
            sequence = excluded.sequence, topic_offset = excluded.topic_offset,
            seen_offset = coalesce(p_offset, s.seen_offset), seen_at = greatest(s.seen_at, p_at)
    returning s.*;
end
$$;


-- -- who may call what: nobody by default (0002_tables.sql)

grant execute on function setting(text) to
    sluice_router, sluice_retrieval, sluice_resolution, sluice_outcome, sluice_people;
grant execute on function name_for_now(text, text) to
    sluice_router, sluice_retrieval, sluice_resolution, sluice_outcome, sluice_people;
grant execute on function
    proved_customer(text, text), moment_of(text),
    admit(uuid, text, text, text, text, text, text, text, timestamptz)
    to sluice_router;
grant execute on function ledger_append(text, text) to sluice_router, sluice_resolution;
grant execute on function customer_facts(text, text[]) to sluice_retrieval;
grant execute on function
    switch_lock(), strictness(text), stopping_scope(text, text, text), not_held_by(text, text, integer),
    claim(uuid, text, integer, text, text, text, text, text, double precision, uuid),
    mark_sent(text, text, text), end_claim(text, text, uuid),
    switch_set(text, text, text, text, text, timestamptz, bigint, bigint, bigint, bigint)
    to sluice_outcome, sluice_people;
grant execute on function
    open_item(text, text, text, uuid, integer, text, text, text, timestamptz, text),
    record_decision(uuid, integer, text, text, jsonb, timestamptz),
    helpdesk_receive(text, text, uuid, text, text, text, text), helpdesk_find(text)
    to sluice_outcome;
grant execute on function take_over(text, text), give_back(text) to sluice_people;
