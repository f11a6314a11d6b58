-- The audit record as evidence: by which credential and from where, what was refused, and a chain that shows tampering.
--
-- A line carries its own digest from its insert on. A sealer links the lines of committed transactions into a chain, some at
-- a time, and signs its head; so writers never wait for each other. Links stand in a table of their own: lines are never
-- updated.

alter table audit
    add column transaction bigint not null default (pg_current_xact_id()::text)::bigint,
    add column outcome     text not null default 'done',
    add column actor_id    text,
    add column credential  text,
    add column address     text,
    add column digest      bytea;
alter table audit add constraint audit_outcome_known check (outcome in ('done', 'refused'));
comment on column audit.transaction is 'The order of the chain is (transaction, sequence) up to the oldest open transaction.';
comment on column audit.outcome is 'refused: somebody asked for it and was not allowed to.';
comment on column audit.actor_id is 'The actor''s lasting id; names may be taken by another after a while.';
comment on column audit.credential is 'The key or session through which it was done.';
comment on column audit.address is 'The client''s, as far as trusted proxies tell.';
comment on column audit.digest is 'SHA-256 of the line''s content, made by the trigger.';

-- Everything of a line but its digest. The text of jsonb does not depend on how the document was written.
create function audit_digest(line audit) returns bytea language sql stable as $$
    select sha256(convert_to(jsonb_build_array(
        line.sequence, line.transaction, (extract(epoch from line.at) * 1000000)::bigint, line.outcome,
        line.actor, line.actor_id, line.credential, line.address, line.verb, line.subject, line.subject_id,
        line.workspace_id, line.before, line.after, line.request_id)::text, 'UTF8'))
$$;

update audit set digest = audit_digest(audit);
alter table audit alter column digest set not null;

create index audit_commit_order on audit (transaction, sequence);
create index audit_actor on audit (actor, sequence);
create index audit_request on audit (request_id) where request_id is not null;

create table audit_link (
    position    bigint primary key,
    sequence    bigint not null constraint audit_link_sequence_key unique,
    transaction bigint not null,
    link        bytea not null
);
comment on table audit_link is 'The chain: each link is the SHA-256 of the link before, its own position and the digest of its line.';

create table audit_head (
    position bigint primary key,
    at       timestamptz not null,
    link     bytea not null,
    key_id   text not null,
    signature bytea not null
);
comment on table audit_head is 'The chain''s end after each sealing, signed (HMAC-SHA-256) by a key that is not in the database.';

create table audit_checkpoint (
    position  bigint primary key,
    at        timestamptz not null,
    link      bytea not null,
    key_id    text not null,
    signature bytea not null
);
comment on table audit_checkpoint is 'Where the chain begins since older lines were dropped; signed as a head is.';

create function audit_complete() returns trigger language plpgsql as $$
begin
    new.digest := audit_digest(new);
    return new;
end $$;
create trigger audit_complete before insert on audit for each row execute function audit_complete();

create function audit_keep() returns trigger language plpgsql as $$
begin
    -- One condition a statement: a row has only the columns of its own table.
    if tg_op = 'DELETE' then
        if tg_table_name = 'audit' then
            if exists (
                select from audit_link l
                where l.sequence = old.sequence and l.position <= (select max(position) from audit_checkpoint)) then
                return old;
            end if;
        elsif tg_table_name <> 'audit_checkpoint' then
            if old.position <= (select max(position) from audit_checkpoint) then
                return old;
            end if;
        end if;
    end if;
    raise exception 'the audit record is only added to' using errcode = 'insufficient_privilege';
end $$;
comment on function audit_keep is 'Refuses every change of what stands; only what lies before a checkpoint may be dropped.';
create trigger audit_keep before update or delete on audit for each row execute function audit_keep();
create trigger audit_keep before update or delete on audit_link for each row execute function audit_keep();
create trigger audit_keep before update or delete on audit_head for each row execute function audit_keep();
create trigger audit_keep before update or delete on audit_checkpoint for each row execute function audit_keep();
create trigger audit_keep_all before truncate on audit for each statement execute function audit_keep();
create trigger audit_keep_all before truncate on audit_link for each statement execute function audit_keep();
create trigger audit_keep_all before truncate on audit_head for each statement execute function audit_keep();
create trigger audit_keep_all before truncate on audit_checkpoint for each statement execute function audit_keep();
