-- Prompts and answers, redacted, of routes whose policy says to keep them.

create table prompt_log (
    prompt_log_id uuid primary key,
    at            timestamptz not null,
    request_id    text not null,
    workspace_id  uuid,
    key_name      text not null,
    route         text not null,
    model         text not null,
    prompt        text,
    answer        text,
    expires_at    timestamptz not null
);
comment on table prompt_log is 'What was asked and answered, where a policy promptLog opts in. Personal data is masked before it comes here.';
comment on column prompt_log.expires_at is 'When it is removed: the retention of the policy, counted from the request.';
create index prompt_log_expires on prompt_log (expires_at);
create index prompt_log_request on prompt_log (request_id);
