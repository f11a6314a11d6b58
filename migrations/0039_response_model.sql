-- Responses that are asked for again, cancelled or removed lead back to their backend by the route of their alias.

alter table gateway_response add column model text not null default '';
comment on column gateway_response.model is 'The alias it was asked for by, with its workspace where the route is one''s. Empty of those from before this column.';
