-- Telling other systems what happened: notices, who wants them, and what became of each delivery.

create table webhook (
    webhook_id        uuid primary key,
    workspace_id      uuid references workspace,
    name              text not null,
    url               text not null,
    kinds             text[] not null default '{}',
    is_active         boolean not null default true,
    secret_generation int not null default 1,
    secret_changed_at timestamptz not null,
    creator           text not null,
    creator_id        text not null,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    revision          bigint not null default 1
);
comment on table webhook is 'A subscription: where notices of a workspace, or of all, are sent.';
comment on column webhook.workspace_id is 'Whose notices it gets; null for all of the instance.';
comment on column webhook.kinds is 'Which kinds of notices; empty for all.';
comment on column webhook.secret_generation is 'Its secret is derived from the key of the instance, its id and this number; nothing secret is stored.';
comment on column webhook.secret_changed_at is 'For a day after it the secret before signs too.';
comment on column webhook.creator_id is 'The actor''s lasting id: a delivery carries only what this actor may see when it is sent.';
create unique index webhook_name_in_workspace on webhook (workspace_id, name) where workspace_id is not null;
create unique index webhook_name_in_instance on webhook (name) where workspace_id is null;

create table notice (
    notice_id    uuid primary key,
    at           timestamptz not null,
    kind         text not null,
    workspace_id uuid,
    asset_id     uuid,
    subject      text not null,
    data         jsonb not null default '{}'
);
comment on table notice is 'What happened and has not been handed to subscriptions yet; written in the transaction of the deed, and only while somebody subscribes.';

create table webhook_delivery (
    delivery_id   uuid primary key,
    webhook_id    uuid not null references webhook on delete cascade,
    notice_id     uuid not null,
    at            timestamptz not null,
    kind          text not null,
    workspace_id  uuid,
    asset_id      uuid,
    subject       text not null,
    data          jsonb not null,
    state         text not null default 'waiting'
        constraint webhook_delivery_state_known check (state in ('waiting', 'delivered', 'dead', 'withheld')),
    attempts      int not null default 0,
    next_at       timestamptz not null,
    claimed_until timestamptz,
    finished_at   timestamptz,
    constraint webhook_delivery_notice_key unique (webhook_id, notice_id)
);
comment on table webhook_delivery is 'One notice for one subscription.';
comment on column webhook_delivery.notice_id is 'The id of the event, the same in every attempt: receivers know repetitions by it.';
comment on column webhook_delivery.state is 'dead: given up after the last attempt, can be replayed. withheld: about something its creator may not see.';
comment on column webhook_delivery.claimed_until is 'A worker has it until then; after that it died with it.';
create index webhook_delivery_due on webhook_delivery (next_at) where state = 'waiting';
create index webhook_delivery_newest on webhook_delivery (webhook_id, delivery_id desc);

create table webhook_attempt (
    delivery_id uuid not null references webhook_delivery on delete cascade,
    attempt     int not null,
    at          timestamptz not null,
    status      int,
    error       text,
    duration_ms int not null,
    primary key (delivery_id, attempt)
);
comment on table webhook_attempt is 'What a receiver answered, attempt by attempt.';
comment on column webhook_attempt.status is 'The HTTP status; null when there was no answer.';
