-- Which key of the ring a webhook's secrets are made of, so that the ring's current key can change.

alter table webhook
    add column secret_key_id   text not null default '',
    add column previous_key_id text;
comment on column webhook.secret_key_id is 'The key the current secret is derived from; it must stay in the ring until the secret is made anew.';
