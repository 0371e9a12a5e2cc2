-- before deploy
-- Customers by their telephone number, for channels whose provider owns the number. Customers are loaded anew to fill it.
set local role sluice_owner;

alter table crm_customer add column phone text check (phone ~ '^[1-9][0-9]{6,14}$');  -- E.164 without the plus
create index crm_customer_phone on crm_customer (phone);

-- The router may look up the one number it has named, as it may the one address.
alter policy stage on crm_customer
    using (
        customer_id = setting('customer') or lower(email) = setting('email') or phone = setting('phone')
    );

-- The customer a proof names, or NULL. An address or a number that several customers share proves nobody.
create or replace function proved_customer(p_proof text, p_value text) returns text
language plpgsql as $$
declare
    proved text;
begin
    perform name_for_now('customer', null);
    if p_proof = 'api_key' then
        perform name_for_now('customer', p_value);
        select customer_id into proved from crm_customer where customer_id = p_value;
    elsif p_proof = 'dmarc' then
        perform name_for_now('email', lower(p_value));
        select min(customer_id) into proved from crm_customer
            where lower(email) = lower(p_value) having count(*) = 1;
        perform name_for_now('email', null);
    elsif p_proof = 'phone' then
        perform name_for_now('phone', p_value);
        select min(customer_id) into proved from crm_customer where phone = p_value having count(*) = 1;
        perform name_for_now('phone', null);
    end if;
    perform name_for_now('customer', proved);
    return proved;
end
$$;
