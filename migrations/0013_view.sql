-- Named views of the MCP registry API: saved filters that clients can be pointed at.

create table registry_view (
    view_id             uuid primary key,
    name                text not null constraint registry_view_name_key unique,
    title               text not null,
    description         text not null default '',
    workspace_id        uuid references workspace,
    access              text not null constraint registry_view_access_known check (access in ('anonymous', 'credentials')),
    publishes_internal  boolean not null default false,
    filter              jsonb not null default '{}',
    revision            bigint not null default 1,
    created_at          timestamptz not null,
    updated_at          timestamptz not null
);
comment on table registry_view is 'A named registry: a saved filter over the servers of the catalog, at /registries/{name}/v0.1.';
comment on column registry_view.workspace_id is 'Whose view it is; it then shows servers of this workspace only. Null: of the instance.';
comment on column registry_view.access is 'anonymous: the same for everybody, with or without a credential. credentials: of what the caller may see.';
comment on column registry_view.publishes_internal is 'An anonymous view that shows internal servers too: an administrator''s word.';
comment on column registry_view.filter is 'What is shown of what may be seen (catalog/registry_view.rs).';
create index registry_view_workspace on registry_view (workspace_id);
