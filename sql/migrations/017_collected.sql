-- What jobs collect: where a content's picture is at its source, and which one is stored.

ALTER TABLE contents
    ADD COLUMN source_image text COLLATE "C", -- of the last collection; null: the source has none
    ADD COLUMN stored_image text COLLATE "C"; -- the source_image that thumbnail_key holds; null: none of the source

-- Pictures that are still to be fetched. What an administrator chose stays.
CREATE INDEX contents_images_wanted ON contents (source, id)
WHERE source_image IS NOT NULL AND source_image IS DISTINCT FROM stored_image AND NOT 'thumbnail' = ANY (edited_fields);

-- Names of stored files, for the job that looks for those that nobody has.
CREATE INDEX contents_by_thumbnail ON contents (thumbnail_key) WHERE thumbnail_key IS NOT NULL;
CREATE INDEX users_by_image ON users (image_key) WHERE image_key IS NOT NULL;

CREATE INDEX job_runs_by_start ON job_runs (started_at);
