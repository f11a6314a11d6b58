-- What happened, and what must happen later.

create table change (
    sequence     bigint generated always as identity primary key,
    transaction  bigint not null default (pg_current_xact_id()::text)::bigint,
    at           timestamptz not null,
    workspace_id uuid not null,
    asset_id     uuid not null,
    verb         text not null
);
comment on table change is 'Every change of an asset, in the transaction that made it. Sequence order is not commit order: readers go by (transaction, sequence) up to the oldest open transaction.';
create index change_commit_order on change (transaction, sequence);

create table audit (
    sequence     bigint generated always as identity primary key,
    at           timestamptz not null,
    actor        text not null,
    verb         text not null,
    subject      text not null,
    subject_id   uuid,
    workspace_id uuid,
    before       jsonb,
    after        jsonb,
    request_id   text
);
comment on table audit is 'Who did what to what, written in the same transaction as the deed.';
create index audit_subject on audit (subject_id, sequence);
create index audit_workspace on audit (workspace_id, sequence);

create table job (
    job_id     bigint generated always as identity primary key,
    kind       text not null,
    key        text not null,
    payload    jsonb not null default '{}',
    run_at     timestamptz not null,
    attempts   int not null default 0,
    claimed_at timestamptz,
    last_error text,
    dead_at    timestamptz,
    created_at timestamptz not null
);
comment on table job is 'Work to be done once for all replicas, after the transaction that asked for it.';
comment on column job.key is 'Jobs of one kind and key that wait are one job.';
comment on column job.claimed_at is 'Set while a worker has it; a claim older than the visibility timeout is void.';
comment on column job.dead_at is 'Set when the attempts are used up; kept for the operator to see and to run again.';
create unique index job_waiting on job (kind, key) where claimed_at is null and dead_at is null;
create index job_due on job (run_at) where dead_at is null;
