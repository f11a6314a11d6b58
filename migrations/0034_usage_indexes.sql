-- Many records come each second, and single ones are read by nobody: sums, by time, workspace and all else, are in usage_rollup.
-- Old ones are found by their ids, which are in the order of time.

drop index usage_record_workspace;
drop index usage_record_at;
