-- What the schema up to 018 has beyond that of 010.sql, which goes before.
\set ON_ERROR_STOP on
BEGIN;
UPDATE contents SET source_image = 'https://images.example/' || source_id, stored_image = CASE WHEN thumbnail_key IS NOT NULL THEN 'https://images.example/' || source_id END
WHERE source IS NOT NULL;
INSERT INTO search_pending (kind, id) SELECT 'contents', id FROM contents ORDER BY id LIMIT 20;
INSERT INTO search_builds (kind, index_name) VALUES ('contents', 'mopl-contents-old');
COMMIT;
