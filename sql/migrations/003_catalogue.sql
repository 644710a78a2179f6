-- Contents, with everything that a list shows kept in the row, and their search table.

CREATE TABLE contents (
    id             uuid PRIMARY KEY,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    average_rating double precision NOT NULL
                   GENERATED ALWAYS AS (CASE WHEN review_count = 0 THEN 0 ELSE (rating_sum / review_count)::double precision END) STORED,
    review_count   bigint NOT NULL DEFAULT 0 CONSTRAINT contents_review_count CHECK (review_count >= 0),
    watcher_count  bigint NOT NULL DEFAULT 0 CONSTRAINT contents_watcher_count CHECK (watcher_count >= 0),
    type           text COLLATE "C" NOT NULL CONSTRAINT contents_type CHECK (type IN ('movie', 'tvSeries', 'sport')),
    title          text NOT NULL CONSTRAINT contents_title_length CHECK (char_length(title) BETWEEN 1 AND 255),
    description    text NOT NULL CONSTRAINT contents_description_length CHECK (char_length(description) <= 10000),
    thumbnail_key  text COLLATE "C",
    tags           text[] NOT NULL CONSTRAINT contents_tags_count CHECK (cardinality(tags) <= 10),
    rating_sum     numeric NOT NULL DEFAULT 0, -- exact: the sum of doubles would drift with the order of writes
    source         text COLLATE "C", -- where a job collected it from; null for an administrator's own
    source_id      text COLLATE "C",
    source_hash    bytea,            -- of the source's fields, to see whether they changed
    edited_fields  text[] NOT NULL DEFAULT '{}', -- what an administrator changed and jobs therefore leave alone
    CONSTRAINT contents_source_unique UNIQUE (source, source_id, type),
    CONSTRAINT contents_source CHECK ((source IS NULL) = (source_id IS NULL))
) WITH (fillfactor = 90);

CREATE INDEX contents_by_created ON contents (created_at, id);
CREATE INDEX contents_by_rate ON contents (average_rating, id);
CREATE INDEX contents_by_watchers ON contents (watcher_count, id);
CREATE INDEX contents_by_type_created ON contents (type, created_at, id);
CREATE INDEX contents_by_type_rate ON contents (type, average_rating, id);
CREATE INDEX contents_by_type_watchers ON contents (type, watcher_count, id);

-- Apart from contents, so that a new rating or watcher never touches the n-gram index.
CREATE TABLE content_search (
    content_id uuid PRIMARY KEY REFERENCES contents ON DELETE CASCADE,
    type       text COLLATE "C" NOT NULL, -- as in contents, where neither changes: matches are filtered and sorted by them in place
    created_at timestamptz NOT NULL,
    doc        text COLLATE "C" NOT NULL, -- folded title, description and tags, a line break between
    tags       text[] COLLATE "C" NOT NULL -- folded
);
CREATE INDEX content_search_grams ON content_search USING gin (mopl_grams(doc)) WITH (gin_pending_list_limit = 512);
CREATE INDEX content_search_tags ON content_search USING gin (tags) WITH (gin_pending_list_limit = 512);

CREATE FUNCTION mopl_content_doc(title text, description text, tags text[]) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN mopl_fold(title || E'\n' || description || E'\n' || array_to_string(tags, E'\n'));

CREATE FUNCTION mopl_fold_all(items text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(mopl_fold(item)), '{}') FROM unnest(items) AS item
$$;

CREATE FUNCTION contents_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO content_search (content_id, type, created_at, doc, tags)
    SELECT id, type, created_at, mopl_content_doc(title, description, tags), mopl_fold_all(tags) FROM new_rows;
    INSERT INTO counters AS k SELECT 'contents:' || type, 0, count(*) FROM new_rows GROUP BY type ORDER BY 1
    ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER contents_inserted AFTER INSERT ON contents REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION contents_inserted();

CREATE FUNCTION contents_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counters AS k SELECT 'contents:' || type, 0, -count(*) FROM old_rows GROUP BY type ORDER BY 1
    ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER contents_deleted AFTER DELETE ON contents REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION contents_deleted();

CREATE FUNCTION contents_text_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE content_search SET doc = mopl_content_doc(NEW.title, NEW.description, NEW.tags), tags = mopl_fold_all(NEW.tags)
    WHERE content_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER contents_text_changed AFTER UPDATE OF title, description, tags ON contents FOR EACH ROW
WHEN (OLD.title IS DISTINCT FROM NEW.title OR OLD.description IS DISTINCT FROM NEW.description OR OLD.tags IS DISTINCT FROM NEW.tags)
EXECUTE FUNCTION contents_text_changed();

-- The totals are kept per type and the search table has both, so a content never changes its type or its time.
CREATE FUNCTION contents_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'type and created_at of a content cannot change' USING ERRCODE = 'check_violation', CONSTRAINT = 'contents_fixed';
END $$;
CREATE TRIGGER contents_fixed BEFORE UPDATE OF type, created_at ON contents FOR EACH ROW
WHEN (OLD.type IS DISTINCT FROM NEW.type OR OLD.created_at IS DISTINCT FROM NEW.created_at) EXECUTE FUNCTION contents_fixed();
