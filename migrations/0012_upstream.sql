-- Other registries and files that servers are taken over from: which, by what rules, how far, and what each run did.

create table upstream (
    upstream_id     uuid primary key,
    workspace_id    uuid not null references workspace,
    name            text not null,
    kind            text not null constraint upstream_kind_known check (kind in ('registry', 'file')),
    url             text not null,
    every_minutes   int not null constraint upstream_interval check (every_minutes between 1 and 44640),
    overlap_minutes int not null constraint upstream_overlap check (overlap_minutes between 0 and 1440),
    is_paused       boolean not null default false,
    filter          jsonb not null default '{}',
    approve         jsonb not null default '[]',
    mark            timestamptz,
    scan_cursor     text,
    scan_since      timestamptz,
    scan_started_at timestamptz,
    run_id          uuid,
    failures        int not null default 0,
    next_run_at     timestamptz not null,
    revision        bigint not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint upstream_name_key unique (workspace_id, name)
);
comment on table upstream is 'A registry or file whose servers a workspace takes over.';
comment on column upstream.filter is 'What is taken: namespaces, words, only servers with remotes (upstream/filter.rs).';
comment on column upstream.approve is 'Rules by which an entry needs nobody''s approval (upstream/filter.rs).';
comment on column upstream.mark is 'When the last scan that came to its end began; the next one asks for what changed since, with an overlap.';
comment on column upstream.scan_cursor is 'Where the scan that is under way goes on; kept in the transaction that stored the page before.';
comment on column upstream.scan_since is 'What the scan under way asked for; null for everything.';
comment on column upstream.scan_started_at is 'When the scan under way began; null when none is.';
comment on column upstream.run_id is 'The run that may write: one that was overtaken finds another here and stops.';
create index upstream_due on upstream (next_run_at) where not is_paused;

create table upstream_run (
    run_id      uuid primary key,
    upstream_id uuid not null references upstream on delete cascade,
    started_at  timestamptz not null,
    ended_at    timestamptz,
    state       text not null constraint upstream_run_state_known
                check (state in ('running', 'succeeded', 'failed', 'interrupted')),
    since       timestamptz,
    resumed     boolean not null,
    pages       int not null default 0,
    seen        int not null default 0,
    registered  int not null default 0,
    updated     int not null default 0,
    deleted     int not null default 0,
    unchanged   int not null default 0,
    passed_over int not null default 0,
    rejected    int not null default 0,
    waiting     int not null default 0,
    rejections  jsonb not null default '[]',
    error       text
);
comment on table upstream_run is 'What each run did; counts are written with the pages they count.';
comment on column upstream_run.since is 'Only what changed after this was asked for; null for everything.';
comment on column upstream_run.resumed is 'Whether it went on where a run before it had ended.';
comment on column upstream_run.passed_over is 'Left out by the filter, or deleted before it ever came here.';
comment on column upstream_run.waiting is 'Stored, and waiting for approval.';
comment on column upstream_run.rejections is 'The first of those rejected, with reasons.';
create index upstream_run_newest on upstream_run (upstream_id, started_at desc);

create table upstream_asset (
    asset_id    uuid primary key references asset,
    upstream_id uuid not null references upstream on delete cascade,
    since       timestamptz not null
);
comment on table upstream_asset is 'Which assets came from which upstream; others are never overwritten by one.';
create index upstream_asset_upstream on upstream_asset (upstream_id);
