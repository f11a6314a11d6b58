-- Who may do what: people, groups, service accounts, the roles they are given, keys that belong to somebody, and one
-- definition of what can be seen.

create table user_account (
    user_id       uuid primary key,
    name          text not null constraint user_account_name_key unique,
    display_name  text not null default '',
    email         text,
    password_hash text,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    last_seen_at  timestamptz,
    disabled_at   timestamptz
);
comment on table user_account is 'People. Whoever was disabled keeps the name, so that nobody inherits what the name was given.';
comment on column user_account.name is 'What others call the person here: in owners, in role assignments, in the audit record.';
comment on column user_account.email is 'As the identity provider or the invitation said it; never what an account is found by at sign-in.';
comment on column user_account.password_hash is 'Argon2id, in the PHC string format; null for who signs in elsewhere.';

create table user_link (
    issuer    text not null,
    subject   text not null,
    user_id   uuid not null references user_account,
    linked_at timestamptz not null,
    primary key (issuer, subject)
);
comment on table user_link is 'Which person an identity provider means by its subject. Subjects are never given twice; addresses are.';
create index user_link_user on user_link (user_id);

create table user_group (
    group_id   uuid primary key,
    name       text not null constraint user_group_name_key unique,
    title      text not null default '',
    source     text not null,
    claim      text,
    created_at timestamptz not null,
    deleted_at timestamptz,
    constraint user_group_claim_key unique (source, claim)
);
comment on table user_group is 'Groups of people. A deleted group keeps its name: what was shared with it must not fall to another.';
comment on column user_group.source is 'local, or the identity provider that says who is in it.';
comment on column user_group.claim is 'What the provider calls the group; null for local ones.';

create table user_group_member (
    group_id uuid not null references user_group,
    user_id  uuid not null references user_account,
    since    timestamptz not null,
    primary key (group_id, user_id)
);
create index user_group_member_user on user_group_member (user_id);

create table service_account (
    service_account_id uuid primary key,
    name               text not null constraint service_account_name_key unique,
    description        text not null default '',
    workspace_id       uuid references workspace,
    issuer             text,
    subject            text,
    created_at         timestamptz not null,
    disabled_at        timestamptz,
    constraint service_account_subject_key unique (issuer, subject)
);
comment on table service_account is 'Programs that act in their own name: pipelines, agents.';
comment on column service_account.workspace_id is 'Whose administrators look after it; null for those of the instance.';
comment on column service_account.issuer is 'With subject: the tokens of an identity provider that this account may come with instead of a key.';
create index service_account_workspace on service_account (workspace_id);

create table role_assignment (
    role_assignment_id uuid primary key,
    role               text not null
        constraint role_assignment_role_known
        check (role in ('reader', 'consumer', 'publisher', 'reviewer', 'compliance', 'administrator')),
    user_id            uuid references user_account,
    group_id           uuid references user_group,
    service_account_id uuid references service_account,
    workspace_id       uuid references workspace,
    asset_id           uuid references asset,
    created_at         timestamptz not null,
    created_by         text not null,
    expires_at         timestamptz,
    constraint role_assignment_one_holder check (num_nonnulls(user_id, group_id, service_account_id) = 1),
    constraint role_assignment_asset_in_workspace check (asset_id is null or workspace_id is not null),
    constraint role_assignment_key unique nulls not distinct
        (role, user_id, group_id, service_account_id, workspace_id, asset_id)
);
comment on table role_assignment is 'Who holds which role, and where: everywhere, in a workspace, or for one asset of a workspace.';
create index role_assignment_user on role_assignment (user_id);
create index role_assignment_group on role_assignment (group_id);
create index role_assignment_service_account on role_assignment (service_account_id);
create index role_assignment_workspace on role_assignment (workspace_id);
create index role_assignment_asset on role_assignment (asset_id);

-- Keys: of a person or service account (with what its holder may do, narrowed by scopes), or as before with a role of
-- their own.
alter table api_key
    add column user_id uuid references user_account,
    add column service_account_id uuid references service_account,
    add column scopes text[] not null default '{}',
    alter column role drop not null,
    drop constraint api_key_scope,
    drop constraint api_key_role_known,
    add constraint api_key_role_known
        check (role in ('reader', 'consumer', 'publisher', 'reviewer', 'compliance', 'administrator')),
    add constraint api_key_one_holder check (num_nonnulls(role, user_id, service_account_id) = 1),
    add constraint api_key_workspace_of_role check (role is not null or workspace_id is null);
comment on column api_key.scopes is 'What the key may be used for (auth/scope.rs); empty: for everything its holder may do.';
comment on column api_key.workspace_id is 'Where the key''s own role holds; null: everywhere.';
create index api_key_user on api_key (user_id);
create index api_key_service_account on api_key (service_account_id);

create table api_key_secret (
    secret_hash bytea primary key,
    key_id      uuid not null references api_key,
    created_at  timestamptz not null,
    expires_at  timestamptz
);
comment on table api_key_secret is 'The texts of keys, as SHA-256. A key has two while it is being rotated.';
comment on column api_key_secret.expires_at is 'When this text stops working though the key goes on; set on the older one by a rotation.';
create index api_key_secret_key on api_key_secret (key_id);
insert into api_key_secret (secret_hash, key_id, created_at) select secret_hash, key_id, created_at from api_key;
alter table api_key drop column secret_hash;

create table api_key_use (
    key_id       uuid primary key references api_key,
    last_used_at timestamptz not null
);
comment on table api_key_use is 'When a key was last seen, to the minute; apart from api_key, whose changes all replicas are told of.';

-- What decides who somebody is and what they may do: a change is told to every replica, whoever made it.
create function tell_access_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('access_changed', tg_table_name);
    return null;
end
$$;
create trigger tell_access_changed after insert or update or delete on role_assignment
    for each statement execute function tell_access_changed();
create trigger tell_access_changed after update or delete on api_key
    for each statement execute function tell_access_changed();
create trigger tell_access_changed after update or delete on api_key_secret
    for each statement execute function tell_access_changed();
create trigger tell_access_changed after update or delete on user_account
    for each statement execute function tell_access_changed();
create trigger tell_access_changed after insert or update or delete on user_group_member
    for each statement execute function tell_access_changed();
create trigger tell_access_changed after update or delete on user_group
    for each statement execute function tell_access_changed();
create trigger tell_access_changed after update or delete on service_account
    for each statement execute function tell_access_changed();

-- What can be seen.
alter table asset
    add column shared_with text[] not null default '{}',
    add column is_approved boolean not null default true;
comment on column asset.shared_with is 'Names of groups that see the asset though it is private.';
comment on column asset.is_approved is 'False while the asset waits for its first approval: only its workspace sees it then.';

alter table version add column is_approved boolean not null default true;
comment on column version.is_approved is 'False while the version waits for approval: only its workspace sees it then, and it is not the latest.';

-- Simple enough to be inlined into every statement that reads assets.
create function asset_visible(
    a asset, everything boolean, internal boolean, workspaces uuid[], groups text[], assets uuid[]
) returns boolean language sql immutable parallel safe as $$
    select everything
        or (a.is_approved and (a.visibility = 'public' or (internal and a.visibility = 'internal')))
        or a.workspace_id = any(workspaces)
        or (a.is_approved and a.shared_with && groups)
        or a.asset_id = any(assets)
$$;
comment on function asset_visible is 'Whether somebody of this sight (auth/sight.rs) may see an asset: the only place in SQL that says so.';

create function version_visible(
    v version, a asset, everything boolean, workspaces uuid[], assets uuid[]
) returns boolean language sql immutable parallel safe as $$
    select v.is_approved or everything or a.workspace_id = any(workspaces) or a.asset_id = any(assets)
$$;
comment on function version_visible is 'Whether who may see an asset may see this version of it.';
