-- The settings of the gateway: what it sends to, by which ways, under which rules; and the sealed credentials it does it with.

create table gateway_entry (
    entry_id     uuid primary key,
    section      text not null
        constraint gateway_entry_section_known
        check (section in ('credential', 'backend', 'pool', 'route', 'policy', 'price')),
    workspace_id uuid references workspace,
    name         text not null,
    settings     jsonb not null,
    revision     bigint not null default 1,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
comment on table gateway_entry is 'One thing of the gateway''s settings a row. The whole is small, is read whole and is checked whole, so the parts are told by the types of src/gateway/settings and not by columns.';
comment on column gateway_entry.workspace_id is 'Whose it is; null for those of the instance.';
comment on column gateway_entry.settings is 'As the types of src/gateway/settings write it; of a credential everything but the secret.';
comment on column gateway_entry.revision is 'Counts the changes of the row; the ETag of the REST API.';
create unique index gateway_entry_name_key
    on gateway_entry (section, coalesce(workspace_id, '00000000-0000-0000-0000-000000000000'), name);
create index gateway_entry_workspace on gateway_entry (workspace_id);

create table gateway_secret (
    entry_id    uuid primary key references gateway_entry on delete cascade,
    kek_id      text not null,
    wrapped_key bytea not null,
    ciphertext  bytea not null,
    updated_at  timestamptz not null
);
comment on table gateway_secret is 'The secret part of a credential, sealed (base/seal.rs). Associated data: table, row and workspace.';
comment on column gateway_secret.kek_id is 'The key-encryption key that wrapped the data key; it is never in the database.';
comment on column gateway_secret.wrapped_key is 'Nonce and data key, sealed by the key-encryption key.';
comment on column gateway_secret.ciphertext is 'Nonce and secret, sealed by the data key.';

create table sealing_key (
    kek_id      text primary key,
    wrapped_key bytea not null,
    ciphertext  bytea not null,
    created_at  timestamptz not null
);
comment on table sealing_key is 'A known text sealed by each key-encryption key that was ever used, so that a start with another key of the same name is refused before anything depends on it.';

create table gateway_generation (
    only_row   boolean primary key default true constraint gateway_generation_one_row check (only_row),
    generation bigint not null
);
comment on table gateway_generation is 'Counts the changes of the gateway''s settings; a replica that has read another number reads them again.';
insert into gateway_generation (generation) values (0);
