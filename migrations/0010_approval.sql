-- What must be approved before others see it: the settings of workspaces, requests with their evidence and comments, and
-- what was approved of a version.

create table approval_settings (
    workspace_id  uuid primary key references workspace,
    is_required   boolean not null default false,
    self_approval boolean not null default false,
    valid_days    int constraint approval_settings_valid_days_sane check (valid_days between 1 and 3650),
    grace_days    int not null default 14
        constraint approval_settings_grace_days_sane check (grace_days between 0 and 365),
    hides_drifted boolean not null default false,
    revision      bigint not null default 1,
    updated_at    timestamptz not null
);
comment on table approval_settings is 'Which approval a workspace asks for; a workspace without a row asks for none.';
comment on column approval_settings.self_approval is 'Whether who may approve may approve what is their own.';
comment on column approval_settings.valid_days is 'How long an approval lasts; null: for good.';
comment on column approval_settings.grace_days is 'How long what ran out is still seen while its renewal is decided on.';
comment on column approval_settings.hides_drifted is 'Whether a version whose server changed is hidden from outsiders, beside being warned of.';

create table approval (
    approval_id     uuid primary key,
    workspace_id    uuid not null references workspace,
    asset_id        uuid not null references asset,
    version_id      uuid references version,
    purpose         text not null
        constraint approval_purpose_known check (purpose in ('publication', 'change', 'drift', 'renewal')),
    state           text not null default 'open'
        constraint approval_state_known
        check (state in ('open', 'changes-requested', 'approved', 'rejected', 'withdrawn', 'expired')),
    reason          text not null default '',
    requester       text not null,
    writers         text[] not null,
    steps           jsonb not null default '[]',
    before          jsonb,
    after           jsonb,
    evidence        jsonb,
    evidence_digest bytea,
    tools           jsonb,
    examined_at     timestamptz,
    needs_checks    boolean not null default true,
    claimed_at      timestamptz,
    decided_by      text,
    decided_at      timestamptz,
    decision_reason text,
    decided_digest  bytea,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);
comment on table approval is 'A request for approval and what became of it.';
comment on column approval.version_id is 'Which version it is about; null for a change of the asset itself.';
comment on column approval.purpose is 'publication: to be seen. change: of what is approved. drift: the server changed by itself. renewal: the approval runs out.';
comment on column approval.writers is 'Lasting ids of all who had a hand in it: none of them approves it where self-approval is off.';
comment on column approval.steps is 'What is done when it is approved (catalog/approval/step.rs); it has not happened before.';
comment on column approval.before is 'What is approved now, where something is to change.';
comment on column approval.after is 'What it would be then.';
comment on column approval.evidence is 'What the automatic checks found.';
comment on column approval.evidence_digest is 'Of the content they looked at; another digest means that they are out of date.';
comment on column approval.tools is 'The tools the running server listed to the checks; what drift is measured against once approved.';
comment on column approval.needs_checks is 'Whether something was written since the checks last looked.';
comment on column approval.claimed_at is 'Since when a replica gathers evidence; an old claim is void.';
comment on column approval.decided_digest is 'Of the content that was decided on.';
create unique index approval_open on approval (asset_id, version_id, purpose) nulls not distinct
    where state in ('open', 'changes-requested');
create index approval_queue on approval (workspace_id, approval_id) where state in ('open', 'changes-requested');
create index approval_to_check on approval (approval_id) where needs_checks or claimed_at is not null;
create index approval_asset on approval (asset_id, approval_id);
create index approval_version on approval (version_id);
create index approval_newest on approval (approval_id desc);

create table approval_comment (
    comment_id  uuid primary key,
    approval_id uuid not null references approval,
    at          timestamptz not null,
    author      text not null,
    body        text not null
);
comment on table approval_comment is 'What was said about a request.';
create index approval_comment_approval on approval_comment (approval_id, comment_id);

alter table version
    add column approved_until timestamptz,
    add column quarantined_at timestamptz;
comment on column version.approved_until is 'When the approval runs out; null: never.';
comment on column version.quarantined_at is 'Since when what runs is not what was approved; readers are warned.';
create index version_approved_until on version (approved_until) where approved_until is not null;

create table tool_baseline (
    version_id uuid primary key references version,
    tools      jsonb,
    at         timestamptz,
    checked_at timestamptz
);
comment on table tool_baseline is 'The tools that were approved of a version''s running server, and when it was last asked for them.';
comment on column tool_baseline.tools is 'Null until the server answered for the first time: that answer is taken.';
