-- Requests for access: who asks to call an asset through the gateway, what was decided, and the key that came of it.

create table access_request (
    access_request_id uuid primary key,
    workspace_id      uuid not null references workspace,
    asset_id          uuid not null references asset,
    user_id           uuid not null references user_account,
    purpose           text not null,
    wanted_until      timestamptz,
    state             text not null default 'waiting'
        constraint access_request_state_known check (state in ('waiting', 'approved', 'declined', 'withdrawn')),
    decided_by        text,
    decided_at        timestamptz,
    note              text,
    ends_at           timestamptz,
    key_id            uuid references api_key,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    constraint access_request_decided check ((state in ('approved', 'declined')) = (decided_at is not null)),
    constraint access_request_key_of_approved check (key_id is null or state = 'approved')
);
comment on table access_request is 'That somebody asks to call an asset through the gateway, and what became of it.';
comment on column access_request.wanted_until is 'Until when access is asked for; null: for good.';
comment on column access_request.ends_at is 'When the access that was given ends; null: when its role is taken back.';
comment on column access_request.key_id is 'The key the asker made of it, once.';
create unique index access_request_waiting on access_request (asset_id, user_id) where state = 'waiting';
create index access_request_queue on access_request (workspace_id, access_request_id) where state = 'waiting';
create index access_request_workspace on access_request (workspace_id, access_request_id);
create index access_request_user on access_request (user_id, access_request_id);
create index access_request_key on access_request (key_id);
