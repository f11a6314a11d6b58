-- The record of what exists: assets, their versions, what is attached to them and where they run.

create table asset (
    asset_id      uuid primary key,
    workspace_id  uuid not null references workspace,
    name          text not null,
    registry_name text not null,
    kind          text not null,
    title         text not null,
    summary       text not null default '',
    description   text not null default '',
    visibility    text not null constraint asset_visibility_known check (visibility in ('public', 'internal', 'private')),
    tags          text[] not null default '{}',
    owners        text[] not null default '{}',
    contacts      jsonb not null default '[]',
    licence       jsonb,
    external_docs jsonb not null default '[]',
    icons         jsonb not null default '[]',
    metadata      jsonb not null default '{}',
    revision      bigint not null default 1,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    deleted_at    timestamptz,
    constraint asset_name_key unique (workspace_id, name)
);
comment on table asset is 'An API, MCP server, model, agent or skill.';
comment on column asset.registry_name is 'The name towards readers of the MCP registry API: the name itself, or workspace/name for a plain slug.';
comment on column asset.kind is 'One of the kinds of catalog/kind.rs; text, so that a new kind needs no migration.';
comment on column asset.summary is 'One sentence; what lists show.';
comment on column asset.description is 'Markdown.';
comment on column asset.owners is 'Names of users and groups.';
comment on column asset.metadata is 'Values for the metadata schemas of the workspace.';
comment on column asset.revision is 'Counts the changes of the asset and of everything below it; the ETag of the REST API.';
comment on column asset.deleted_at is 'Deleted assets keep their name and can be restored.';
create index asset_registry_name on asset (registry_name, workspace_id);
create index asset_updated on asset (updated_at, asset_id);

create table version (
    version_id        uuid primary key,
    asset_id          uuid not null references asset,
    name              text not null,
    stage             text not null,
    order_key         bytea not null,
    is_latest         boolean not null default false,
    status            text not null default 'active' constraint version_status_known check (status in ('active', 'deprecated', 'deleted')),
    status_message    text,
    status_changed_at timestamptz not null,
    format_name       text not null default '',
    server            text,
    findings          jsonb not null default '[]',
    source_digest     bytea not null,
    published_at      timestamptz not null,
    updated_at        timestamptz not null,
    constraint version_name_key unique (asset_id, name)
);
comment on table version is 'A version of an asset. One of an asset''s versions carries is_latest.';
comment on column version.order_key is 'Bytes that sort as the versions do: by semantic version, all others before them by time (catalog/version_order.rs).';
comment on column version.status is 'The MCP registry''s word beside our stage; deleted versions are kept and can be restored.';
comment on column version.server is 'The server.json the MCP registry API shows, as compact JSON; null for assets that are no MCP servers.';
comment on column version.source_digest is 'SHA-256 of what the version was registered from; an import of the same changes nothing.';
create unique index version_latest on version (asset_id) where is_latest;
create index version_order on version (asset_id, order_key);
create index version_updated on version (updated_at);

create table definition (
    definition_id uuid primary key,
    version_id    uuid not null references version,
    name          text not null,
    format        text not null,
    media_type    text not null,
    content       bytea not null,
    digest        bytea not null,
    source_url    text,
    created_at    timestamptz not null,
    replaced_at   timestamptz
);
comment on table definition is 'Documents attached to a version, byte for byte as they came.';
comment on column definition.digest is 'SHA-256 of content.';
comment on column definition.replaced_at is 'Set when another document of the same name took its place; the old one is kept.';
create unique index definition_name on definition (version_id, name) where replaced_at is null;
create index definition_version on definition (version_id);

create table operation (
    version_id  uuid not null references version,
    position    int not null,
    name        text not null,
    title       text,
    method      text,
    path        text,
    summary     text,
    description text,
    tags        text[] not null default '{}',
    deprecated  boolean not null default false,
    detail      jsonb not null default '{}',
    primary key (version_id, position),
    constraint operation_name_key unique (version_id, name)
);
comment on table operation is 'Operations of an API, tools of an MCP server, skills of an agent: one table, since lists, search and links treat them alike.';
comment on column operation.detail is 'Parameters, bodies and schemas; shapes in wire/outline.rs.';

create table environment (
    environment_id uuid primary key,
    workspace_id   uuid not null references workspace,
    name           text not null,
    title          text not null,
    description    text not null default '',
    kind           text not null,
    server_type    text not null default '',
    url            text,
    onboarding     text not null default '',
    metadata       jsonb not null default '{}',
    revision       bigint not null default 1,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    deleted_at     timestamptz
);
comment on table environment is 'A place where versions run: a cluster, a gateway, a region.';
comment on column environment.kind is 'development, testing, staging, production, or a word of the organisation''s own.';
create unique index environment_name on environment (workspace_id, name) where deleted_at is null;

create table deployment (
    deployment_id  uuid primary key,
    version_id     uuid not null references version,
    environment_id uuid references environment,
    title          text not null default '',
    description    text not null default '',
    url            text not null,
    transport      text not null default '',
    is_active      boolean not null default true,
    metadata       jsonb not null default '{}',
    detail         jsonb not null default '{}',
    position       int not null default 0,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    deleted_at     timestamptz
);
comment on table deployment is 'Where a version runs.';
comment on column deployment.detail is 'What the document says besides: headers and variables of a remote MCP server.';
create index deployment_version on deployment (version_id);
create index deployment_environment on deployment (environment_id);
-- By hash: addresses may be longer than an entry of a btree.
create index deployment_url on deployment using hash (url);

create table metadata_schema (
    metadata_schema_id uuid primary key,
    workspace_id       uuid not null references workspace,
    name               text not null,
    title              text not null,
    description        text not null default '',
    schema             jsonb not null,
    assigned_to        text[] not null,
    required_for       text[] not null default '{}',
    is_facet           boolean not null default false,
    revision           bigint not null default 1,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    constraint metadata_schema_name_key unique (workspace_id, name),
    constraint metadata_schema_required_assigned check (required_for <@ assigned_to)
);
comment on table metadata_schema is 'A metadata field of a workspace: its name, the JSON Schema of its value, and what carries it.';
comment on column metadata_schema.assigned_to is 'asset, environment, deployment.';
comment on column metadata_schema.is_facet is 'Whether search counts and filters by its values.';
