-- before deploy
-- The people's queue: who holds what, what each act was, and the reply a person sends.
set local role sluice_owner;

-- -- what the list shows of an event, without reading it whole

-- A text of an event's JSON; NULL where there is none, or the event cannot be read.
create function event_field(p_event text, p_path text[]) returns text
language plpgsql immutable parallel safe as $$
begin
    return left(p_event::jsonb #>> p_path, 200);
exception
    when others then return null;
end
$$;
grant execute on function event_field(text, text[]) to sluice_outcome, sluice_people;

alter table item
    add column channel text generated always as (event_field(event, '{ticket,channel}')) stored,
    add column intent text generated always as (event_field(event, '{route,intent}')) stored,
    add column subject text generated always as (event_field(event, '{ticket,subject}')) stored,
    add column closed_by text,
    add column closed_as text;
create index item_held on item (held_by) where state = 'held';
create index conversation_person on conversation (person) where person is not null;

-- -- acts

-- Each act with its event; without a time it is not known to be published.
create table act (
    act_id bigint generated always as identity primary key,
    item_id uuid not null references item,
    person text not null,
    act text not null,  -- taken_over, released, approved, ...
    event text not null,  -- TicketSettled, JSON
    at timestamptz not null default clock_timestamp(),
    published_at timestamptz
);
create index act_item on act (item_id, act_id);
create index act_unpublished on act (at) where published_at is null;

alter table act enable row level security;
alter table act force row level security;
create policy owner on act to sluice_owner using (true) with check (true);
create policy auditor on act for select to sluice_auditor using (true);
create policy people on act to sluice_people using (true) with check (true);
grant select on act to sluice_auditor;
grant select, insert, update (published_at) on act to sluice_people;
grant update (closed_by, closed_as) on item to sluice_people;

create type queue_answer as (status text, detail text);

-- The item, after its conversation is locked: every act takes these two locks in this order, as a claim does.
create function lock_item(p_item uuid) returns item
language plpgsql as $$
declare
    wanted item;
begin
    select * into wanted from item where item_id = p_item;
    if found then
        -- One that was never admitted has no row yet.
        insert into conversation (conversation) values (wanted.conversation) on conflict (conversation) do nothing;
        perform from conversation where conversation = wanted.conversation for update;
        select * into wanted from item where item_id = p_item for update;
    end if;
    return wanted;
end
$$;

-- Keep an act; without an event nobody is told of it.
create function note_act(p_item uuid, p_person text, p_act text, p_event text) returns void
language sql as $$
    insert into act (item_id, person, act, event) select p_item, p_person, p_act, p_event where p_event is not null;
$$;

-- Give the conversation back to the bot if it is this person's and none of its items is held.
create function give_back_unheld(p_conversation text, p_person text) returns void
language plpgsql as $$
begin
    if exists (select from conversation where conversation = p_conversation and person = p_person)
        and not exists (select from item where conversation = p_conversation and state = 'held')
    then
        perform give_back(p_conversation);
    end if;
end
$$;

-- Make an item's conversation a person's, with all its items. What another person has is taken only from the one named.
create function take_item(p_item uuid, p_person text, p_from text, p_act text, p_event text) returns queue_answer
language plpgsql as $$
declare
    wanted item := lock_item(p_item);
    haver text;
begin
    if wanted.item_id is null then
        return ('unknown', '')::queue_answer;
    elsif wanted.state = 'closed' then
        return ('closed', coalesce(wanted.closed_by, ''))::queue_answer;
    elsif wanted.held_by = p_person then
        return ('done', '')::queue_answer;
    end if;
    select coalesce(wanted.held_by, person) into haver from conversation where conversation = wanted.conversation;
    if haver <> p_person and haver is distinct from p_from then
        return ('held', haver)::queue_answer;
    elsif haver <> p_person and exists (
        select from claim
        where conversation = wanted.conversation and actor = haver and state = 'claimed'
            and lease_until > clock_timestamp()
    ) then
        return ('sending', haver)::queue_answer;
    end if;
    perform take_over(wanted.conversation, p_person);
    perform note_act(p_item, p_person, p_act, p_event);
    return ('done', '')::queue_answer;
end
$$;

-- Why this person may not act on an item, or NULL when they hold it.
create function not_theirs(p_item item, p_person text) returns queue_answer
language sql stable as $$
    select case
        when p_item.item_id is null then ('unknown', '')::queue_answer
        when p_item.state = 'closed' then ('closed', coalesce(p_item.closed_by, ''))::queue_answer
        when p_item.held_by is null then ('not_held', '')::queue_answer
        when p_item.held_by <> p_person then ('held', p_item.held_by)::queue_answer
    end;
$$;

-- Put an item back. Of a closed item, only its conversation is given back: to whoever wrote its answer it still belongs.
create function release_item(p_item uuid, p_person text, p_act text, p_event text) returns queue_answer
language plpgsql as $$
declare
    wanted item := lock_item(p_item);
    obstacle queue_answer := not_theirs(wanted, p_person);
begin
    if wanted.held_by is distinct from p_person and (
        select act = p_act and person = p_person from act where item_id = p_item order by act_id desc limit 1
    ) then
        return ('done', '')::queue_answer;
    elsif obstacle.status = 'closed' and exists (
        select from conversation where conversation = wanted.conversation and person = p_person
    ) then
        obstacle := null;
    end if;
    if obstacle.status is not null then
        return obstacle;
    end if;
    update item set state = 'open', held_by = null where item_id = p_item and state = 'held';
    perform give_back_unheld(wanted.conversation, p_person);
    perform note_act(p_item, p_person, p_act, p_event);
    return ('done', '')::queue_answer;
end
$$;

-- End an item. Whoever sent its reply may, even if somebody has taken it meanwhile.
create function close_item(p_item uuid, p_person text, p_act text, p_give_back boolean, p_event text)
returns queue_answer
language plpgsql as $$
declare
    wanted item := lock_item(p_item);
    obstacle queue_answer := not_theirs(wanted, p_person);
begin
    if wanted.state = 'closed' and wanted.closed_by = p_person and wanted.closed_as = p_act then
        return ('done', '')::queue_answer;
    elsif obstacle.status in ('held', 'not_held') and exists (
        select from claim
        where conversation = wanted.conversation and revision = wanted.revision and actor = p_person and state = 'sent'
    ) then
        obstacle := null;
    end if;
    if obstacle.status is not null then
        return obstacle;
    end if;
    update item
        set state = 'closed', held_by = null, closed_at = clock_timestamp(), closed_by = p_person, closed_as = p_act
        where item_id = p_item;
    if p_give_back then
        perform give_back_unheld(wanted.conversation, p_person);
    end if;
    perform note_act(p_item, p_person, p_act, p_event);
    return ('done', '')::queue_answer;
end
$$;

-- It is certain by now that a parked reply never went out: its revision may be claimed again.
create function unpark_item(p_item uuid, p_person text, p_act text, p_event text) returns queue_answer
language plpgsql as $$
declare
    wanted item := lock_item(p_item);
    obstacle queue_answer := not_theirs(wanted, p_person);
    known text;
begin
    if obstacle.status is not null then
        return obstacle;
    end if;
    select state into known from claim
        where conversation = wanted.conversation and revision = wanted.revision for update;
    if known = 'released' then
        return ('done', '')::queue_answer;
    elsif known is distinct from 'parked' then
        return ('not_parked', coalesce(known, ''))::queue_answer;
    end if;
    update claim set state = 'released', settled_at = clock_timestamp()
        where conversation = wanted.conversation and revision = wanted.revision;
    perform note_act(p_item, p_person, p_act, p_event);
    return ('done', '')::queue_answer;
end
$$;
grant execute on function
    lock_item(uuid), note_act(uuid, text, text, text), give_back_unheld(text, text), not_theirs(item, text),
    take_item(uuid, text, text, text, text), release_item(uuid, text, text, text),
    close_item(uuid, text, text, boolean, text), unpark_item(uuid, text, text, text)
    to sluice_people;

-- -- the reply a person sends: the recorded helpdesk, one key at a time

create policy people on helpdesk_delivery to sluice_people
    using (key = setting('key')) with check (key = setting('key'));
grant select, insert on helpdesk_delivery to sluice_people;
grant execute on function
    helpdesk_receive(text, text, uuid, text, text, text, text), helpdesk_find(text)
    to sluice_people;
