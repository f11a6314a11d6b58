-- Responses that a later request may go on from: where they lie, and whose they are.

create table gateway_response (
    response_hash  bytea primary key,
    backend_id     uuid not null,
    holder         text not null,
    at             timestamptz not null
);
create index gateway_response_at on gateway_response (at);
comment on table gateway_response is 'Responses that backends keep, by the hash of their id. Kept for thirty days, as long as vendors keep them.';
comment on column gateway_response.response_hash is 'SHA-256 of the id: whoever knows an id could go on from the response at the vendor.';
comment on column gateway_response.holder is 'Whom it was given to: nobody else may go on from it.';
