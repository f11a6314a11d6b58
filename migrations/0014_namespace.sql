-- Which workspace may publish which names of the MCP registry.

create table namespace (
    name         text primary key,
    workspace_id uuid not null references workspace,
    created_by   text not null,
    created_at   timestamptz not null,
    constraint namespace_name_lower check (name = lower(name))
);
comment on table namespace is 'A reversed domain name that one workspace publishes, with what is below it.';
create index namespace_workspace on namespace (workspace_id);
