-- before deploy
-- Nothing is closed while its reply is on its way, and what was answered is not rejected.
set local role sluice_owner;

create index item_ticket on item (ticket_id);

create or replace function close_item(p_item uuid, p_person text, p_act text, p_give_back boolean, p_event text)
returns queue_answer
language plpgsql as $$
declare
    wanted item := lock_item(p_item);
    obstacle queue_answer := not_theirs(wanted, p_person);
    known claim;
begin
    if wanted.state = 'closed' and wanted.closed_by = p_person and wanted.closed_as = p_act then
        return ('done', '')::queue_answer;
    end if;
    select * into known from claim where conversation = wanted.conversation and revision = wanted.revision;
    if obstacle.status in ('held', 'not_held') and known.actor = p_person and known.state = 'sent' then
        obstacle := null;
    end if;
    if obstacle.status is not null then
        return obstacle;
    elsif known.state = 'claimed' and known.lease_until > clock_timestamp() then
        return ('sending', case when known.outside then 'the helpdesk' else known.actor end)::queue_answer;
    elsif known.state = 'sent' and p_act = 'rejected' and wanted.kind not in ('conflict', 'dead') then
        return ('answered', 'by ' || known.actor || ': resolve it as sent')::queue_answer;
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
