-- Records come in the order of time, many a second, and are read by time only: a summary of blocks serves that as well as a tree
-- does, and costs next to nothing for each of them. Sums, by workspace and all else, are read from usage_rollup.

drop index usage_record_workspace;
drop index usage_record_at;
create index usage_record_at on usage_record using brin (at) with (autosummarize = on);
