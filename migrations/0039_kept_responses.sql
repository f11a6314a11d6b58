-- Responses that are asked for again, cancelled or removed: by which alias, and what of their tokens is still to be charged.

alter table gateway_response
    add column model           text not null default '',
    add column charged_input   bigint,
    add column charged_output  bigint;
comment on column gateway_response.model is 'The alias it was asked for by: its route leads back to the backend. Empty of those from before this column.';
comment on column gateway_response.charged_input is 'Of a response made in the background: the prompt tokens that were charged when it was asked for. Null where nothing is owed.';
comment on column gateway_response.charged_output is 'As charged_input, of the reply.';
