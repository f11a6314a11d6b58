-- The webhook of a budget is called until it takes the call: what waits for that stands beside what was passed.

alter table budget_notice
    add column webhook text,
    add column webhook_attempts integer not null default 0,
    add column webhook_next_at timestamptz,
    add column webhook_told_at timestamptz,
    add constraint budget_notice_webhook_named check (webhook_next_at is null or webhook is not null);
comment on column budget_notice.webhook_next_at is 'When the webhook is called next; null when it was told, or given up.';
create index budget_notice_webhook on budget_notice (webhook_next_at) where webhook_next_at is not null;
