-- Usage records come by COPY, in one transaction with how far the spool's files are read: that makes a second reading
-- harmless without an index over ids, which cost the database more than the records.

create table usage_spool (
    spool_file uuid primary key,
    read_from  bigint not null,
    read_to    bigint not null,
    read_at    timestamptz not null default now()
);
comment on table usage_spool is 'How far the ledger has read a file of a spool. The row goes after the file.';
comment on column usage_spool.spool_file is 'The name of the file, given once.';
comment on column usage_spool.read_from is 'In bytes: where the last batch began. A batch that does not begin where the one before ended is refused, and read anew.';

-- Outcome, cache and source are of the program's own types, which no other writer has.
alter table usage_record
    drop column usage_record_id,
    drop constraint usage_record_outcome_known,
    drop constraint usage_record_cache_known,
    drop constraint usage_record_source_known;
create index usage_record_at on usage_record (at);
comment on table usage_record is 'One request through the gateway. Written by the ledger in batches, after it was in the spool below the data directory.';
comment on column usage_record.outcome is 'served, refused, cancelled or failed.';
comment on column usage_record.cache is 'exact, semantic, or empty.';
