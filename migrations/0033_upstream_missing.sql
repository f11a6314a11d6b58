-- What an upstream no longer has: told of each run, and kept where it is so much that a person has to say so.

alter table upstream
    add column missing int not null default 0,
    add column may_delete int not null default 0;
comment on column upstream.missing is 'Versions that the last reading of everything did not meet and that were not deleted, because they are too many.';
comment on column upstream.may_delete is 'How many missing versions a person lets the next reading of everything delete.';

alter table upstream_run add column note text;
comment on column upstream_run.note is 'What of the run a person should know though it succeeded.';
