-- before deploy
-- Automatic mail is counted by address, and an acknowledgement that went out can be told again.
set local role sluice_owner;

-- -- automatic mail

-- What left for an address by itself, whatever the conversation: a machine may begin a new one with every mail.
create table automatic_mail (
    key text primary key,  -- of the message
    address text not null,  -- SHA-256 of the address, hex
    at timestamptz not null default clock_timestamp()
);
create index automatic_mail_address on automatic_mail (address, at);

alter table automatic_mail enable row level security;
alter table automatic_mail force row level security;
create policy owner on automatic_mail to sluice_owner using (true) with check (true);
create policy auditor on automatic_mail for select to sluice_auditor using (true);
create policy stage on automatic_mail to sluice_outcome
    using (address = setting('address')) with check (address = setting('address'));
grant select on automatic_mail to sluice_auditor;
grant select, insert, delete on automatic_mail to sluice_outcome;

-- Take the right to one more automatic mail to this address, `p_most` within the period; the same key takes it once.
create function may_mail(p_address text, p_key text, p_most integer, p_period interval) returns boolean
language plpgsql as $$
begin
    perform name_for_now('address', p_address);
    perform pg_advisory_xact_lock(hashtextextended(p_address, switch_lock()));
    if exists (select from automatic_mail where key = p_key) then
        return true;
    end if;
    delete from automatic_mail where address = p_address and at < clock_timestamp() - interval '31 days';
    if (
        select count(*) from automatic_mail where address = p_address and at > clock_timestamp() - p_period
    ) >= p_most then
        return false;
    end if;
    insert into automatic_mail (key, address) values (p_key, p_address) on conflict (key) do nothing;
    return found;
end
$$;
grant execute on function may_mail(text, text, integer, interval) to sluice_outcome;


-- -- acknowledgements

alter table acknowledgement add column text text, add column delivery text;  -- where it went out
grant update (text, delivery) on acknowledgement to sluice_outcome;

create type acknowledge_answer as (
    status text,  -- granted, sent, unknown, refused
    text text,
    delivery text
);

-- The right to an acknowledgement, or what became of it under this key. Replaces may_acknowledge, which goes once no
-- earlier version runs any more.
create function ask_acknowledgement(
    p_conversation text, p_key text, p_channel text, p_intent text, p_customer text, p_period interval
) returns acknowledge_answer
language plpgsql as $$
declare
    known acknowledgement;
begin
    perform name_for_now('conversation', p_conversation);
    select * into known from acknowledgement where key = p_key;
    if found then
        return (case when known.text is null then 'unknown' else 'sent' end, known.text, known.delivery)::acknowledge_answer;
    elsif may_acknowledge(p_conversation, p_key, p_channel, p_intent, p_customer, p_period) then
        return ('granted', null, null)::acknowledge_answer;
    end if;
    return ('refused', null, null)::acknowledge_answer;
end
$$;

-- Note once that an acknowledgement went out, and add it to the transcript.
create function acknowledged(
    p_conversation text, p_key text, p_customer text, p_channel text, p_text text, p_delivery text
) returns void
language plpgsql as $$
begin
    perform name_for_now('conversation', p_conversation);
    update acknowledgement set text = p_text, delivery = p_delivery where key = p_key and text is null;
    if found then
        perform acknowledged(p_conversation, p_customer, p_channel, p_text);
    end if;
end
$$;
grant execute on function
    ask_acknowledgement(text, text, text, text, text, interval), acknowledged(text, text, text, text, text, text)
    to sluice_outcome;
