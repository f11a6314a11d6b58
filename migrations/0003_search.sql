-- Search by meaning: the vectors of texts, made once for all replicas, and which texts an asset consists of.

create table embedding (
    model  text not null,
    digest bytea not null,
    vector bytea not null,
    primary key (model, digest)
);
comment on table embedding is 'The vector of a text. Equal texts share one, whichever assets they belong to; a text that comes back needs no new one.';
comment on column embedding.model is 'The vector space; vectors of two spaces cannot be compared.';
comment on column embedding.digest is 'SHA-256 of the text.';
comment on column embedding.vector is 'A unit vector: 16-bit fixed point numbers, little-endian, 32767 for 1.';

create table passages (
    asset_id   uuid primary key references asset,
    model      text not null,
    revision   bigint not null,
    digests    bytea[] not null,
    operations text[] not null,
    written_at timestamptz not null default clock_timestamp()
);
comment on table passages is 'The texts of an asset that have vectors: the asset itself first, then its operations.';
comment on column passages.revision is 'The asset''s revision the texts were taken from; an older one than the asset''s means that work is waiting.';
comment on column passages.operations is 'The operation each text is about, in the order of digests; the first is empty.';
comment on column passages.written_at is 'By the database''s clock: replicas follow the table by it, looking back as far as a transaction may last.';
create index passages_written on passages (written_at);
