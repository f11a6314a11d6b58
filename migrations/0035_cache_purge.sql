-- Answers that were taken out of the cache: each replica that keeps answers of its own takes them out too.

create table cache_purge (
    cache_purge_id  uuid primary key,
    at              timestamptz not null,
    route           text,
    asset           text,
    key_name        text
);
comment on table cache_purge is 'What is to go from the caches of all replicas; null fits everything. Kept for an hour.';
