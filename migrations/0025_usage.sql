-- What went through the gateway: a record a request, the sums of them by minute, hour and day, and what counts against quotas.

create table usage_record (
    usage_record_id uuid primary key,
    at              timestamptz not null,
    request_id      text not null default '',
    workspace_id    uuid,
    key_id          uuid,
    key_name        text not null default '',
    user_name       text not null default '',
    route           text not null default '',
    asset           text not null default '',
    operation       text not null default '',
    model           text not null default '',
    backend         text not null default '',
    vendor_model    text not null default '',
    input           bigint not null default 0,
    cached_input    bigint not null default 0,
    cache_write     bigint not null default 0,
    input_audio     bigint not null default 0,
    output          bigint not null default 0,
    reasoning       bigint not null default 0,
    output_audio    bigint not null default 0,
    saved           bigint not null default 0,
    cost            bigint not null default 0,
    saved_cost      bigint not null default 0,
    latency_ms      bigint not null default 0,
    first_token_ms  bigint,
    attempts        integer not null default 0,
    status          integer not null default 0,
    stream          boolean not null default false,
    outcome         text not null constraint usage_record_outcome_known
                    check (outcome in ('served', 'refused', 'cancelled', 'failed')),
    refused_by      text not null default '',
    cache           text not null default '' constraint usage_record_cache_known check (cache in ('', 'exact', 'semantic')),
    source          text not null constraint usage_record_source_known
                    check (source in ('reported', 'counted', 'estimated', 'none')),
    dimensions      jsonb not null default '{}'
);
comment on table usage_record is 'One request through the gateway. Written by the ledger in batches, after it was in the spool below the data directory; the id makes a second writing harmless.';
comment on column usage_record.workspace_id is 'Of the caller: who is charged. No foreign key: what was used stays when a workspace goes.';
comment on column usage_record.input is 'All tokens of the prompt; cached_input, cache_write and input_audio are parts of it.';
comment on column usage_record.output is 'All tokens of the reply; reasoning and output_audio are parts of it.';
comment on column usage_record.saved is 'Tokens that the cache saved.';
comment on column usage_record.cost is 'In thousand-millionths of the unit of the price table''s currency.';
comment on column usage_record.source is 'Where the tokens are from: the vendor''s report, our count of what was passed on, an estimate, or no tokens at all.';
comment on column usage_record.dimensions is 'What a policy tokenMetrics adds.';
create index usage_record_at on usage_record (at);
create index usage_record_workspace on usage_record (workspace_id, at);

create table usage_rollup (
    period         text not null constraint usage_rollup_period_known check (period in ('minute', 'hour', 'day')),
    start_at       timestamptz not null,
    workspace_id   uuid not null,
    key_id         uuid not null,
    key_name       text not null,
    user_name      text not null,
    route          text not null,
    asset          text not null,
    model          text not null,
    backend        text not null,
    requests       bigint not null,
    refused        bigint not null,
    cancelled      bigint not null,
    failed         bigint not null,
    cached         bigint not null,
    attempts       bigint not null,
    input          bigint not null,
    cached_input   bigint not null,
    output         bigint not null,
    reasoning      bigint not null,
    saved          bigint not null,
    cost           bigint not null,
    saved_cost     bigint not null,
    latency_ms     bigint not null,
    first_token_ms bigint not null,
    first_tokens   bigint not null,
    constraint usage_rollup_pkey
        primary key (period, start_at, workspace_id, key_id, key_name, user_name, route, asset, model, backend)
);
comment on table usage_rollup is 'Sums of usage_record by minute, hour and day in UTC, made in the transaction that writes the records. What a record does not have is the nil uuid or the empty text here.';
comment on column usage_rollup.first_tokens is 'How many requests first_token_ms is the sum of.';
create index usage_rollup_workspace on usage_rollup (workspace_id, period, start_at);

create table usage_latency (
    start_at     timestamptz not null,
    workspace_id uuid not null,
    model        text not null,
    bucket       integer not null,
    requests     bigint not null,
    constraint usage_latency_pkey primary key (start_at, workspace_id, model, bucket)
);
comment on table usage_latency is 'How often served requests of an hour took how long; a bucket is an eighth of a doubling of milliseconds.';

create table usage_counter (
    counter_key  text not null,
    period_start timestamptz not null,
    used         bigint not null,
    constraint usage_counter_pkey primary key (counter_key, period_start)
);
comment on table usage_counter is 'What counts against quotas and budgets in their running periods, so that a restart forgets nothing.';
comment on column usage_counter.counter_key is 'A hash over the limit and the value of its counter key.';

create table budget_notice (
    counter_key  text not null,
    period_start timestamptz not null,
    level        text not null constraint budget_notice_level_known check (level in ('soft', 'hard')),
    policy       text not null,
    value        text not null,
    workspace_id uuid,
    used         bigint not null,
    most         bigint not null,
    at           timestamptz not null,
    constraint budget_notice_pkey primary key (counter_key, period_start, level)
);
comment on table budget_notice is 'A budget that was passed: told once in a period, whichever replica sees it first.';
comment on column budget_notice.used is 'In thousand-millionths, like most.';
