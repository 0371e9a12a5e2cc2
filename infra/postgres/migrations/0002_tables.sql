-- before deploy
-- Everything that must be exact. Who may see what: 0003_access.sql.
set local role sluice_owner;
alter default privileges revoke execute on functions from public;

-- The help centre. An article's version is valid from valid_from until before valid_to; the text of a version never
-- changes, so that a citation stays true.
create table kb_article (
    article_id text not null,
    version integer not null check (version > 0),
    title text not null,
    url text,
    language text not null default 'en',
    license text,
    audience text not null default 'public' check (audience in ('public', 'internal')),
    updated timestamptz,
    review_by timestamptz,
    valid_from timestamptz not null default '-infinity',
    valid_to timestamptz not null default 'infinity',
    content_hash text not null,
    ingested_at timestamptz not null default clock_timestamp(),
    primary key (article_id, version),
    check (valid_from <= valid_to)
);

-- One H2 section. There is no approximate index on purpose: it filters after its scan and then misses rows, and an exact
-- scan of a help centre (thousands of sections) takes milliseconds.
create table kb_section (
    article_id text not null,
    version integer not null,
    section_id text not null,
    position integer not null,
    heading text not null,
    text text not null,
    audience text not null check (audience in ('public', 'internal')),
    embedded_hash text not null,  -- SHA-256 of the embedder's name and the text it was given
    embedding vector(384) not null,
    search tsvector not null,
    primary key (article_id, version, section_id),
    foreign key (article_id, version) references kb_article on delete cascade
);
create index kb_section_search on kb_section using gin (search);
create index kb_section_embedded on kb_section (embedded_hash);
alter table kb_section alter column embedding set storage plain;  -- in the row: every search reads all of them

-- In how many public sections a stemmed word stands: the rarest words of a long ticket are the ones worth ranking by.
create table kb_word (
    word text primary key,
    sections integer not null
);

-- The customers' own records. `fields` is flat or nested as the shop keeps it.
create table crm_customer (
    customer_id text primary key,
    email text,
    name text,
    fields jsonb not null default '{}',
    updated timestamptz not null default clock_timestamp()
);
create index crm_customer_email on crm_customer (lower(email));

create table crm_record (
    customer_id text not null references crm_customer on delete cascade,
    record text not null,  -- 'order/W10023'
    kind text not null,
    fields jsonb not null,
    updated timestamptz not null default clock_timestamp(),
    primary key (customer_id, record)
);

create table conversation (
    conversation text primary key,
    revision integer not null default 0,
    owner text not null default 'bot' check (owner in ('bot', 'person')),
    person text,
    created_at timestamptz not null default clock_timestamp(),
    touched_at timestamptz not null default clock_timestamp(),
    check ((owner = 'person') = (person is not null))
);

-- The admitted tickets and the replies to them, in the order they were written.
create table message (
    message_id bigint generated always as identity primary key,
    conversation text not null references conversation,
    revision integer not null,
    author text not null check (author in ('customer', 'bot', 'person')),
    ticket_id uuid unique,  -- of a customer's message
    customer_id text,  -- the proved customer of this revision
    channel text,
    subject text not null default '',
    text text not null,
    body_hash text,
    intent text,
    outcome text,
    at timestamptz not null,
    admitted_at timestamptz not null default clock_timestamp(),
    check ((author = 'customer') = (ticket_id is not null))
);
create index message_conversation on message (conversation, message_id);
create index message_customer on message (customer_id, message_id) where ticket_id is not null;

-- The right to send the one reply to a revision.
create table claim (
    conversation text not null references conversation,
    revision integer not null,
    key text not null unique,  -- the idempotency key
    ticket_id uuid not null,
    customer_id text,
    actor text not null,
    channel text not null,
    intent text not null,
    state text not null check (state in ('claimed', 'sent', 'parked', 'released')),
    holder uuid not null,  -- the worker process that was granted it
    lease_until timestamptz not null,
    claimed_at timestamptz not null default clock_timestamp(),
    settled_at timestamptz,
    delivery text,
    primary key (conversation, revision)
);
create index claim_open on claim (lease_until) where state = 'claimed';

-- The people's queue.
create table item (
    item_id uuid primary key default gen_random_uuid(),
    key text not null unique,
    kind text not null check (kind in ('handoff', 'suggest', 'parked', 'conflict', 'dead')),
    conversation text not null,
    ticket_id uuid,
    revision integer not null,
    customer_id text,
    reason text not null,
    event text not null,  -- JSON as it travelled
    due_at timestamptz,
    state text not null default 'open' check (state in ('open', 'held', 'closed')),
    held_by text,
    opened_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    check ((state = 'held') <= (held_by is not null))
);
create index item_conversation on item (conversation, revision);
create index item_waiting on item (due_at) where state <> 'closed';

create table decision (
    ticket_id uuid not null,
    revision integer not null,
    conversation text,
    customer_id text,
    disposition text not null,
    rule text not null,
    record jsonb not null,
    decided_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (ticket_id, revision)
);

-- What models were shown, written before the call. hash = sha256(previous || record); record is canonical JSON.
create table ledger (
    chain text not null,
    sequence bigint not null check (sequence > 0),
    previous text not null,
    record text not null,
    hash text not null,
    primary key (chain, sequence)
);

create table label (
    label_id bigint generated always as identity primary key,
    ticket_id uuid not null,
    revision integer not null,
    labeller text not null,
    label jsonb not null,
    labelled_at timestamptz not null default clock_timestamp()
);

-- Every change of the switch that took effect, and the state it left behind per scope.
create table switch_log (
    sequence bigint generated always as identity primary key,
    scope_kind text not null check (scope_kind in ('all', 'channel', 'intent', 'customer')),
    scope_value text not null,
    state text not null check (state in ('off', 'suggest', 'auto')),
    why text not null,
    actor text not null,
    set_at timestamptz not null,
    written_at timestamptz not null default clock_timestamp()
);

create table switch (
    scope_kind text not null,
    scope_value text not null,
    state text not null,
    why text not null,
    actor text not null,
    set_at timestamptz not null,
    sequence bigint not null references switch_log,
    topic_offset bigint not null default -1,  -- of the record that set this state; -1 while it is in the table alone
    seen_offset bigint not null default -1,  -- of the last record mirrored for this scope
    seen_at timestamptz not null,  -- the newest time any of its records named
    primary key (scope_kind, scope_value)
);

-- What the recorded helpdesk received: one row per call. A key may stand here twice, so that a double send shows.
create table helpdesk_delivery (
    delivery_id bigint generated always as identity primary key,
    act text not null check (act in ('reply', 'hand_over')),
    key text not null,
    ticket_id uuid not null,
    conversation text not null,
    channel text not null,
    text text not null,
    payload text not null,  -- JSON
    received_at timestamptz not null default clock_timestamp()
);
create index helpdesk_delivery_key on helpdesk_delivery (key);
