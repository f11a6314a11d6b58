-- Who there is: workspaces, the keys that act in them, and what makes repeated writes safe.

create table workspace (
    workspace_id       uuid primary key,
    name               text not null constraint workspace_name_key unique,
    title              text not null,
    description        text not null default '',
    default_visibility text not null default 'public'
        constraint workspace_default_visibility_known check (default_visibility in ('public', 'internal', 'private')),
    revision           bigint not null default 1,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    deleted_at         timestamptz
);
comment on table workspace is 'A team''s part of the catalog.';
comment on column workspace.default_visibility is 'What a newly registered asset gets when it says nothing itself.';
comment on column workspace.revision is 'Counts the changes of the row; the ETag of the REST API.';

create table api_key (
    key_id       uuid primary key,
    name         text not null,
    workspace_id uuid references workspace,
    role         text not null constraint api_key_role_known check (role in ('reader', 'publisher', 'administrator')),
    secret_hash  bytea not null constraint api_key_secret_hash_key unique,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    constraint api_key_scope check ((role = 'administrator') = (workspace_id is null))
);
comment on table api_key is 'Credentials of programs and people without a session.';
comment on column api_key.secret_hash is 'SHA-256 of the key; the key itself has 256 random bits and is shown once.';
comment on column api_key.workspace_id is 'Where the role holds; null for an administrator, whose role holds everywhere.';
create index api_key_workspace on api_key (workspace_id);

create table idempotency (
    actor          text not null,
    key            text not null,
    request_digest bytea not null,
    status         int,
    headers        jsonb,
    body           bytea,
    created_at     timestamptz not null,
    primary key (actor, key)
);
comment on table idempotency is 'Answers to writes that carried an Idempotency-Key, so that a repeated request gets the same answer.';
comment on column idempotency.status is 'Null while the first request is being worked on.';
create index idempotency_created on idempotency (created_at);

create table instance (
    name  text primary key,
    value text not null
);
comment on table instance is 'What this installation remembers about itself: its id, and which first-start steps are done.';
