-- Builds all indexes of the tables in :tables, and shows that everything is where it belongs.
\set ON_ERROR_STOP on
SET maintenance_work_mem = '1GB';
SET max_parallel_maintenance_workers = 2;
SELECT format('REINDEX TABLE %s', t), format('VACUUM (ANALYZE) %s', t) FROM unnest(string_to_array(:'tables', ' ')) AS t \gexec
