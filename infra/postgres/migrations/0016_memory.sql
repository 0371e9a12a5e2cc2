-- before deploy
-- The earlier tickets of a proved customer come with what they were answered, and by whom.
set local role sluice_owner;

-- As before, but with the answer's beginning. It is read as every other message of this customer: by row-level security.
create or replace function admit(
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
    -- What follows a ticket that was not sent is an acknowledgement, and no answer.
    select jsonb_agg(
            jsonb_build_object(
                'ticket_id', e.ticket_id, 'subject', e.subject, 'intent', e.intent, 'outcome', e.outcome,
                'received_at', e.received_at, 'answer', left(a.text, 400), 'answered_by', a.author
            ) order by e.received_at
        )
        into answer.earlier
        from (
            select ticket_id::text, subject, intent, outcome, at as received_at, conversation, revision
            from message
            where customer_id = known.customer_id and conversation <> p_conversation and ticket_id is not null
                and message_id < known.message_id
            union all
            select substr(record, 8), coalesce(fields ->> 'subject', ''), null, fields ->> 'status', created, null, null
            from crm_record, moment_of(fields ->> 'created_at') as created
            where customer_id = known.customer_id and kind = 'ticket' and created < p_at
            order by received_at desc limit 5
        ) as e
        left join lateral (
            select m.text, m.author from message as m
            where e.outcome = 'sent' and m.conversation = e.conversation and m.revision = e.revision
                and m.author <> 'customer' and m.customer_id = known.customer_id
            order by m.message_id desc limit 1
        ) as a on true;
    return answer;
end
$$;
