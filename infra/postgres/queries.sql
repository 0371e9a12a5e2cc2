-- Every statement of the product's adapters, named and described. Transactions are functions (migrations/), so that each
-- statement here is one round trip in autocommit mode. Read by queries.py; parameters are psycopg's %(name)s.

-- name: admit
-- Give a ticket its revision, or find the one it has; resolves its proof to a customer.
select * from admit(
    %(ticket)s, %(conversation)s, %(proof)s, %(proved)s, %(channel)s, %(subject)s, %(text)s, %(hash)s, %(at)s
);

-- name: claim
-- Ask for the right to send the one reply to a revision.
select * from claim(
    %(ticket)s, %(conversation)s, %(revision)s, %(actor)s, %(channel)s, %(intent)s, %(customer)s, %(key)s, %(lease)s,
    %(holder)s
);

-- name: mark_sent
-- Note that a claimed reply went out, and add it to the transcript.
select mark_sent(%(key)s, %(delivery)s, %(text)s);

-- name: end_claim
-- End a claim without a reply: released or parked.
select end_claim(%(key)s, %(state)s, %(holder)s);

-- name: came_back
-- Mark the bot's answer that a later revision comes back on.
select * from came_back(%(conversation)s, %(revision)s, %(by)s, %(within)s, %(topic)s);

-- name: reopen_ticket
-- Mark the bot's answer to a ticket as reopened.
select * from reopen_ticket(%(ticket)s, %(by)s);

-- name: take_over
-- Make a conversation a person's.
select take_over(%(conversation)s, %(person)s);

-- name: give_back
-- Make a conversation the bot's again.
select give_back(%(conversation)s);

-- name: open_item
-- Put something on the people's queue, once per key.
select open_item(
    %(key)s, %(kind)s, %(conversation)s, %(ticket)s, %(revision)s, %(customer)s, %(reason)s, %(event)s, %(due)s,
    %(intent)s, %(traceparent)s
);

-- name: ask_acknowledgement
-- Take the right to tell the customer, once, that a person will answer; or what became of it under this key.
select * from ask_acknowledgement(
    %(conversation)s, %(key)s, %(channel)s, %(intent)s, %(customer)s, %(period)s
);

-- name: acknowledged
-- Note that the acknowledgement went out, and add it to the transcript.
select acknowledged(%(conversation)s, %(key)s, %(customer)s, %(channel)s, %(text)s, %(delivery)s);

-- name: may_mail
-- Take the right to one more automatic mail to this address.
select may_mail(%(address)s, %(key)s, %(most)s, %(period)s);

-- name: claim_outside
-- Claim the approved reply to a ticket for the helpdesk of its account.
select * from claim_outside(%(ticket)s, %(account)s, %(lease)s, %(holder)s);

-- name: settle_outside
-- Note that the helpdesk delivered the reply it had claimed; the event, or NULL where there is no such claim.
select settle_outside(%(ticket)s, %(account)s, %(delivery)s, %(text)s);

-- name: kept_outside
-- What is kept of a reply that the helpdesk delivered.
select event, delivery, text, at, told, trace_outside(%(ticket)s, %(account)s) as traceparent
from kept_outside(%(ticket)s, %(account)s);

-- name: release_outside
-- Give back a claim under which the helpdesk delivered nothing: ended, held or none.
select release_outside(%(ticket)s, %(account)s, %(holder)s);

-- name: queue_list
-- Items of the people's queue, the overdue and those due next first. An empty array and a NULL match everything.
select
    i.item_id, i.kind, i.state, i.conversation, i.ticket_id, i.revision, i.customer_id, i.channel, i.intent, i.subject,
    i.reason, i.opened_at, i.due_at, i.held_by, c.person, i.closed_at, i.closed_by, i.closed_as
from item as i left join conversation as c using (conversation)
where (cardinality(%(kinds)s::text[]) = 0 or i.kind = any (%(kinds)s))
    and (cardinality(%(states)s::text[]) = 0 or i.state = any (%(states)s))
    and (%(person)s::text is null or i.held_by = %(person)s or (i.state <> 'closed' and c.person = %(person)s))
    and (%(channel)s::text is null or i.channel = %(channel)s)
    and (%(intent)s::text is null or i.intent = %(intent)s)
    and (%(ticket)s::uuid is null or i.ticket_id = %(ticket)s)
    and (%(after)s::uuid is null or (coalesce(i.due_at, 'infinity'), i.opened_at, i.item_id) > (
        select coalesce(due_at, 'infinity'), opened_at, item_id from item where item_id = %(after)s
    ))
order by i.due_at nulls last, i.opened_at, i.item_id
limit %(limit)s;

-- name: queue_item
-- One item with its event, and the claim on its revision with what went out under it.
select
    i.item_id, i.kind, i.state, i.conversation, i.ticket_id, i.revision, i.customer_id, i.channel, i.intent, i.subject,
    i.reason, i.opened_at, i.due_at, i.held_by, c.person, i.closed_at, i.closed_by, i.closed_as,
    i.event, coalesce(c.revision, 0) as current_revision, l.actor, l.delivery, m.text,
    case  -- nobody can be asked about a claim of a helpdesk outside whose lease is over
        when l.outside and l.state = 'claimed' and l.lease_until <= clock_timestamp() then 'parked' else l.state
    end as claim
from item as i
    left join conversation as c using (conversation)
    left join claim as l on l.conversation = i.conversation and l.revision = i.revision
    left join lateral (
        select text from message
        where conversation = i.conversation and revision = i.revision and author <> 'customer' and l.state = 'sent'
            and (author = 'bot') = (l.actor = 'bot')
        order by message_id desc limit 1
    ) as m on true
where i.item_id = %(item)s;

-- name: queue_named
-- Items whose id begins with a text; two are enough to know that it is not one.
select item_id from item where item_id::text like %(prefix)s || '%%' limit 2;

-- name: queue_counts
-- How many items wait, by kind and state, and for how long.
select
    kind, state, count(*) as items, count(*) filter (where due_at < clock_timestamp()) as overdue,
    percentile_cont(0.5) within group (order by extract(epoch from clock_timestamp() - opened_at))::float8
        as p50_seconds,
    min(opened_at) as oldest_at
from item where state <> 'closed' group by kind, state order by kind, state;

-- name: queue_holders
-- What each person has: held items, and conversations that are theirs.
select person, sum(items)::integer as items, sum(conversations)::integer as conversations
from (
    select held_by as person, count(*) as items, 0 as conversations from item where state = 'held' group by held_by
    union all
    select person, 0, count(*) from conversation where person is not null group by person
) as had
group by person order by person;

-- name: queue_take
-- Make an item's conversation a person's, with all its items.
select status, detail from take_item(%(item)s, %(person)s, %(from)s, %(act)s, %(event)s);

-- name: queue_release
-- Put an item back; without another held item its conversation is the bot's again.
select status, detail from release_item(%(item)s, %(person)s, %(act)s, %(event)s);

-- name: queue_close
-- End an item.
select status, detail from close_item(%(item)s, %(person)s, %(act)s, %(give_back)s, %(event)s);

-- name: queue_unpark
-- Let an item's holder send, as the parked reply never went out.
select status, detail from unpark_item(%(item)s, %(person)s, %(act)s, %(event)s);

-- name: queue_unpublished
-- The acts on an item that are not known to be published, and what others left a minute ago and longer, in order.
select a.act_id, a.event, i.traceparent
from act as a left join item as i using (item_id)
where a.published_at is null and (a.item_id = %(item)s or a.at < clock_timestamp() - interval '1 minute')
order by a.act_id limit 100;

-- name: queue_published
-- Note that an act was published.
update act set published_at = clock_timestamp() where act_id = %(act)s returning act_id;

-- name: queue_handled
-- How people ended the drafts they were shown, in a time and after an act, in order. An approval with a reason only
-- notes that the reply had been sent.
select a.act_id, a.event as act, i.event
from act as a join item as i using (item_id)
where i.kind = 'suggest' and a.at >= %(since)s and a.at < %(until)s and a.act_id > %(after)s
    and (a.act in ('edited', 'rejected') or a.act = 'approved' and a.event::jsonb ->> 'reason' is null)
order by a.act_id limit %(limit)s;

-- name: record_decision
-- Keep the gate's decision on a revision.
select record_decision(%(ticket)s, %(revision)s, %(disposition)s, %(rule)s, %(record)s, %(at)s);

-- name: customer_facts
-- The records of one customer that an answer may use, of the kinds its intent allows.
select record, kind, fields from customer_facts(%(customer)s, %(kinds)s);

-- name: customer_known
-- Whether there is such a customer.
select exists (select from crm_customer where customer_id = %(customer)s);

-- name: search
-- Hybrid search of the sections valid at a moment, fused by reciprocal rank (Cormack et al. 2009, k = 60). Vector: exact
-- cosine with the query or, where it is nearer, with the query in its conversation. There is no approximate index, so no
-- filter costs recall. Sections in the language that is asked in, where one of them is near enough to answer; else all. Full text: cover density of the query's 16 rarest words, any of them; all words of a long ticket
-- take ten times as long and rank worse. It weighs a quarter: alone it finds half of what the vectors find. Of what is
-- found, the nearest window of each section is told too. Beside them, on every row, the records of one customer; where no
-- section holds, on a row without one.
with words as (
    select string_agg(format('''%%s''', replace(replace(lexeme, '\', '\\'), '''', '''''')), ' | ')::tsquery as words
    from (
        select lexeme
        from unnest(to_tsvector('english', %(query)s)) join kb_word on word = lexeme
        order by sections, word
        limit 16
    ) as rarest
),
current as materialized (
    select
        s.article_id, s.section_id, s.version, s.heading, s.text, s.windows, a.title, a.url, a.language, a.review_by,
        1 - (s.embedding <=> %(vector)s::vector) as cosine,
        1 - (s.embedding <=> %(context)s::vector) as in_context,
        case when s.search @@ words then ts_rank_cd(s.search, words) else 0 end as fulltext,
        split_part(replace(lower(a.language), '_', '-'), '-', 1) = %(language)s::text as spoken
    from words, kb_section as s join kb_article as a using (article_id, version)
    where a.audience = 'public' and s.audience = 'public' and a.valid_from <= %(at)s and %(at)s < a.valid_to
),
ranked as (
    select
        *,
        greatest(cosine, in_context) as score,
        row_number() over (order by greatest(cosine, in_context) desc, article_id, section_id) as vector_rank,
        row_number() over (order by fulltext desc, article_id, section_id) as fulltext_rank
    from current
    where spoken or not exists (
        select from current as own where own.spoken and greatest(own.cosine, own.in_context) >= %(enough)s
    )
),
found as (
    select
        *,
        1.0 / (60 + vector_rank) + case when fulltext > 0 then 0.25 / (60 + fulltext_rank) else 0 end as fused
    from ranked
    order by fused desc, score desc, article_id, section_id
    limit %(limit)s
),
told as (
    select
        article_id, section_id, version, heading, text, title, url, language, review_by,
        coalesce(review_by < %(at)s, false) as stale,
        score,
        cosine,
        fulltext,
        fused,
        coalesce((select max(1 - (one <=> %(vector)s::vector)) from unnest(windows) as one), cosine) as window,
        coalesce((select max(1 - (one <=> %(context)s::vector)) from unnest(windows) as one), in_context) as context
    from found
),
whose_facts as materialized (
    select
        coalesce(jsonb_agg(
            jsonb_build_object('record', record, 'kind', kind, 'fields', fields) order by kind, record
        ), '[]') as facts
    from customer_facts(%(customer)s::text, %(kinds)s::text[])
)
select * from whose_facts left join told on true
order by fused desc, score desc, article_id, section_id;

-- name: unanswered
-- Tickets that left the gate by one of these rules since a moment, the newest first, with what they said.
select m.ticket_id::text as id, m.subject, m.text, coalesce(m.intent, 'unknown') as intent
from decision as d join message as m using (ticket_id)
where d.rule = any (%(rules)s) and d.decided_at >= %(since)s
order by d.decided_at desc, m.ticket_id
limit %(limit)s;

-- name: nearest_section
-- The public section that holds at a moment and is nearest to a vector.
select s.article_id, s.section_id, a.title, s.heading, 1 - (s.embedding <=> %(vector)s::vector) as score
from kb_section as s join kb_article as a using (article_id, version)
where a.audience = 'public' and s.audience = 'public' and a.valid_from <= %(at)s and %(at)s < a.valid_to
order by s.embedding <=> %(vector)s::vector, s.article_id, s.section_id
limit 1;

-- name: current_sections
-- The public sections that hold at a moment, and whether they are past their review date.
select
    s.article_id, s.section_id, s.version, a.title, s.heading, s.text, a.url, a.language, a.review_by,
    coalesce(a.review_by < %(at)s, false) as stale
from kb_section as s join kb_article as a using (article_id, version)
where a.audience = 'public' and s.audience = 'public' and a.valid_from <= %(at)s and %(at)s < a.valid_to
order by s.article_id, s.position;

-- name: lock_ingest
-- One ingest at a time.
select pg_advisory_xact_lock(7553221002);

-- name: known_embeddings
-- Which of these hashes of embedded text have a vector already.
select distinct on (embedded_hash) embedded_hash, embedding::text, windows::text
from kb_section where embedded_hash = any (%(hashes)s);

-- name: article_versions
-- The versions of an article, oldest first; an open end is NULL.
select version, content_hash, nullif(valid_from, '-infinity') as valid_from, nullif(valid_to, 'infinity') as valid_to
from kb_article where article_id = %(article_id)s order by version;

-- name: insert_article
-- Add a version of an article.
insert into kb_article
    (article_id, version, title, url, language, license, audience, updated, review_by, valid_from, valid_to, content_hash,
    source)
values (
    %(article_id)s, %(version)s, %(title)s, %(url)s, %(language)s, %(license)s, %(audience)s, %(updated)s, %(review_by)s,
    coalesce(%(valid_from)s::timestamptz, '-infinity'), coalesce(%(valid_to)s::timestamptz, 'infinity'),
    %(content_hash)s, %(source)s
);

-- name: insert_section
-- Add a section of a version. Title and heading weigh more than the text; what is embedded is not what is shown.
insert into kb_section
    (article_id, version, section_id, position, heading, text, audience, embedded_hash, embedding, windows, search)
values (
    %(article_id)s, %(version)s, %(section_id)s, %(position)s, %(heading)s, %(text)s, %(audience)s, %(embedded_hash)s,
    %(embedding)s, %(windows)s::vector[],
    setweight(to_tsvector('english', %(title)s), 'A')
        || setweight(to_tsvector('english', %(heading)s), 'A')
        || to_tsvector('english', %(text)s)
);

-- name: section_embeddings
-- What the sections of a version were embedded from.
select section_id, embedded_hash from kb_section where article_id = %(article_id)s and version = %(version)s;

-- name: update_embedding
-- Give a section another embedder's vectors, or those it lacks; its text stays.
update kb_section set embedded_hash = %(embedded_hash)s, embedding = %(embedding)s, windows = %(windows)s::vector[]
where article_id = %(article_id)s and version = %(version)s and section_id = %(section_id)s;

-- name: forget_words
-- The first half of counting the words anew.
delete from kb_word;

-- name: count_words
-- In how many public sections each word stands.
insert into kb_word (word, sections)
select word, ndoc from ts_stat('select search from kb_section where audience = ''public''');

-- name: update_version
-- Change what is said about a version, never what it says: its review date, the end of its validity, where it is from.
update kb_article
set review_by = %(review_by)s, updated = %(updated)s, valid_to = coalesce(%(valid_to)s::timestamptz, 'infinity'),
    source = coalesce(%(source)s, source)
where article_id = %(article_id)s and version = %(version)s
    and (review_by, updated, valid_to, source) is distinct from (
        %(review_by)s::timestamptz, %(updated)s::timestamptz, coalesce(%(valid_to)s::timestamptz, 'infinity'),
        coalesce(%(source)s, source)
    );

-- name: end_version
-- Let a version end where another begins; one that never held ends where it begins.
update kb_article set valid_to = greatest(valid_from, %(valid_to)s::timestamptz)
where article_id = %(article_id)s and version = %(version)s;

-- name: current_articles
-- The articles that hold now or will, and where they are from.
select article_id, max(source) as source from kb_article where valid_to > greatest(valid_from, %(at)s::timestamptz)
group by article_id;

-- name: retire_articles
-- Let articles end now, with all of them that is yet to come; what they said stays, for the replies that cite it.
update kb_article set valid_to = greatest(valid_from, %(at)s::timestamptz)
where article_id = any (%(articles)s) and valid_to > greatest(valid_from, %(at)s::timestamptz);

-- name: upsert_customer
-- Load a customer as the shop knows them now.
insert into crm_customer (customer_id, email, phone, name, fields)
values (%(customer_id)s, %(email)s, %(phone)s, %(name)s, %(fields)s)
on conflict (customer_id) do update
set email = excluded.email, phone = excluded.phone, name = excluded.name, fields = excluded.fields,
    updated = clock_timestamp()
where (crm_customer.email, crm_customer.phone, crm_customer.name, crm_customer.fields)
    is distinct from (excluded.email, excluded.phone, excluded.name, excluded.fields);

-- name: upsert_record
-- Load a record of a customer.
insert into crm_record (customer_id, record, kind, fields)
values (%(customer_id)s, %(record)s, %(kind)s, %(fields)s)
on conflict (customer_id, record) do update
set kind = excluded.kind, fields = excluded.fields, updated = clock_timestamp()
where (crm_record.kind, crm_record.fields) is distinct from (excluded.kind, excluded.fields);

-- name: delete_other_records
-- Drop the records of a customer that the shop no longer has.
delete from crm_record where customer_id = %(customer_id)s and record <> all (%(records)s);

-- name: ledger_append
-- Add what is about to be shown to a hash chain.
select chain, sequence, hash from ledger_append(%(chain)s, %(entry)s);

-- name: ledger_rows
-- Every row of the ledger, chain by chain, oldest first.
select chain, sequence, previous, record, hash from ledger order by chain, sequence;

-- name: ledger_chain
-- Every row of one chain, oldest first.
select chain, sequence, previous, record, hash from ledger where chain = %(chain)s order by sequence;

-- name: ticket_texts
-- What these tickets said when they were admitted; ids that are no ticket's are passed over.
select ticket_id::text, subject, text from message
where ticket_id in (
    select id::uuid from unnest(%(tickets)s::text[]) as id where pg_input_is_valid(id, 'uuid')
);

-- name: switch_rows
-- The state of every scope that was ever set.
select scope_kind, scope_value, state, why, actor, set_at, sequence, topic_offset from switch
order by scope_kind, scope_value;

-- name: is_migrated
-- Whether this database has the tables of Sluice.
select to_regclass('kb_article') is not null;

-- name: article_ids
-- Every article that was ever published.
select distinct article_id from kb_article;

-- name: customer_ids
-- Every customer.
select customer_id from crm_customer;

-- name: switch_stops
-- The scopes in which something is stopped, and by whom.
select scope_kind, scope_value, actor from switch where state <> 'auto';

-- name: switch_set
-- Set a scope or mirror a record of the topic; no row when it is ignored.
select scope_kind, scope_value, state, why, actor, set_at, sequence, topic_offset
from switch_set(
    %(kind)s, %(value)s, %(state)s, %(why)s, %(actor)s, %(at)s, %(sequence)s, %(offset)s, %(lifts_offset)s,
    %(lifts_sequence)s
);

-- name: helpdesk_receive
-- Record a call to the recorded helpdesk: reply or hand_over. Every call is a row, so a double send shows.
select helpdesk_receive(
    %(act)s, %(key)s, %(ticket)s, %(conversation)s, %(channel)s, %(text)s, %(payload)s
);

-- name: helpdesk_find
-- The reference of what was recorded under a key, or NULL.
select helpdesk_find(%(key)s);

-- name: audit_counts
-- How many answers went out by themselves since a moment, and how many of them were drawn.
select count(*) as answers, count(d.ticket_id) as drawn
from claim as c left join audit_draw as d using (ticket_id, revision)
where c.state = 'sent' and c.actor = 'bot' and c.settled_at >= %(since)s;

-- name: audit_draw
-- Draw answers that went out by themselves since a moment and were not drawn before, in the order of a seed's hash.
insert into audit_draw (ticket_id, revision, seed)
select c.ticket_id, c.revision, %(seed)s
from claim as c
where c.state = 'sent' and c.actor = 'bot' and c.settled_at >= %(since)s
    and not exists (
        select from audit_draw as d where d.ticket_id = c.ticket_id and d.revision = c.revision
    )
order by sha256(convert_to(%(seed)s || ':' || c.ticket_id || ':' || c.revision, 'utf8'))
limit %(limit)s
on conflict do nothing
returning ticket_id, revision;

-- name: audit_drawn
-- The drawn answers that this kind of auditor (a machine: of this name) has not judged yet, oldest draw first.
select d.ticket_id, d.revision, c.intent, c.channel, c.settled_at as answered_at, d.drawn_at
from audit_draw as d join claim as c using (ticket_id, revision)
where c.state = 'sent' and c.actor = 'bot'
    and not exists (
        select from label as l
        where l.ticket_id = d.ticket_id and l.revision = d.revision and l.kind = %(kind)s
            and (l.kind = 'person' or l.auditor = %(auditor)s)
    )
order by d.drawn_at, d.ticket_id, d.revision;

-- name: audit_answer
-- An answer that went out by itself, as it was asked and as it was sent, with the gate's decision on it.
select c.ticket_id, c.revision, c.intent, c.channel, c.settled_at as answered_at, d.drawn_at, c.conversation,
    c.customer_id, asked.subject, asked.text as body, sent.text as answer, decided.record as decision
from claim as c
join message as asked on asked.ticket_id = c.ticket_id
left join lateral (
    select m.text from message as m
    where m.conversation = c.conversation and m.revision = c.revision and m.author = 'bot'
    order by m.message_id limit 1
) as sent on true
left join audit_draw as d on d.ticket_id = c.ticket_id and d.revision = c.revision
left join decision as decided on decided.ticket_id = c.ticket_id and decided.revision = c.revision
where c.ticket_id = %(ticket)s and c.revision = %(revision)s and c.state = 'sent' and c.actor = 'bot';

-- name: audit_talk
-- What was written in a conversation before a revision, oldest first.
select author, text, at from message
where conversation = %(conversation)s and revision < %(revision)s and author in ('customer', 'bot', 'person')
order by message_id;

-- name: audit_sections
-- The sections an answer cites, in the version it cites.
select s.article_id, s.section_id, s.version, a.title || ': ' || s.heading as title, s.text
from unnest(%(articles)s::text[], %(sections)s::text[], %(versions)s::integer[]) as cited (article, section, version)
join kb_section as s
    on (s.article_id, s.section_id, s.version) = (cited.article, cited.section, cited.version)
join kb_article as a on (a.article_id, a.version) = (s.article_id, s.version);

-- name: audit_records
-- The records an answer cites, as they are now.
select record, fields from crm_record
where customer_id = %(customer)s and record = any (%(records)s::text[]);

-- name: label_record
-- Keep an auditor's verdict on an answer; NULL where there is no such answer, or it was judged by them before.
select record_label(%(ticket)s, %(revision)s, %(auditor)s, %(kind)s, %(verdict)s, %(reason)s);

-- name: label_rows
-- The verdicts after a number, in their order.
select label_id, ticket_id, revision, intent, auditor, kind, verdict, reason, drawn, answered_at, at from label
where label_id > %(after)s order by label_id limit %(limit)s;

-- name: guard_labels
-- The verdicts after a number, and which of them count: the first clear one on a drawn answer by these kinds of auditors.
select l.label_id, l.intent, l.verdict, l.answered_at,
    l.drawn and l.verdict <> 'unsure' and l.kind = any (%(kinds)s::text[])
        and not exists (
            select from label as e
            where e.ticket_id = l.ticket_id and e.revision = l.revision and e.label_id < l.label_id
                and e.verdict <> 'unsure' and e.kind = any (%(kinds)s::text[])
        ) as counts
from label as l where l.label_id > %(after)s order by l.label_id limit %(limit)s;

-- name: guard_load
-- What the guard has read and concluded.
select version, state::text as state from guard;

-- name: guard_save
-- Put what the guard knows in the place of the version it has read; NULL where another was faster.
select save_guard(%(version)s, %(state)s);
