-- Playlists, what is in them, who subscribed, and their search table.

CREATE TABLE playlists (
    id               uuid PRIMARY KEY,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    owner_id         uuid NOT NULL CONSTRAINT playlists_owner REFERENCES users ON DELETE CASCADE,
    subscriber_count bigint NOT NULL DEFAULT 0 CONSTRAINT playlists_subscriber_count CHECK (subscriber_count >= 0),
    content_count    bigint NOT NULL DEFAULT 0 CONSTRAINT playlists_content_count CHECK (content_count >= 0),
    title            text NOT NULL CONSTRAINT playlists_title_length CHECK (char_length(title) BETWEEN 1 AND 255),
    description      text NOT NULL CONSTRAINT playlists_description_length CHECK (char_length(description) <= 2000)
) WITH (fillfactor = 90);
CREATE INDEX playlists_by_updated ON playlists (updated_at, id);
CREATE INDEX playlists_by_subscribers ON playlists (subscriber_count, id);
CREATE INDEX playlists_of_owner_by_updated ON playlists (owner_id, updated_at, id);
CREATE INDEX playlists_of_owner_by_subscribers ON playlists (owner_id, subscriber_count, id);

CREATE TABLE playlist_contents (
    playlist_id uuid NOT NULL CONSTRAINT playlist_contents_playlist REFERENCES playlists ON DELETE CASCADE,
    content_id  uuid NOT NULL CONSTRAINT playlist_contents_content REFERENCES contents ON DELETE CASCADE,
    added_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT playlist_contents_once PRIMARY KEY (playlist_id, content_id)
);
CREATE INDEX playlist_contents_in_order ON playlist_contents (playlist_id, added_at, content_id);
CREATE INDEX playlist_contents_of_content ON playlist_contents (content_id);

CREATE TABLE playlist_subscriptions (
    user_id     uuid NOT NULL CONSTRAINT playlist_subscriptions_user REFERENCES users ON DELETE CASCADE,
    playlist_id uuid NOT NULL CONSTRAINT playlist_subscriptions_playlist REFERENCES playlists ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT playlist_subscriptions_once PRIMARY KEY (user_id, playlist_id)
);
CREATE INDEX playlist_subscriptions_of_playlist ON playlist_subscriptions (playlist_id, created_at, user_id);

CREATE TABLE playlist_search (
    playlist_id uuid PRIMARY KEY REFERENCES playlists ON DELETE CASCADE,
    doc         text COLLATE "C" NOT NULL -- folded title and description, a line break between
);
CREATE INDEX playlist_search_grams ON playlist_search USING gin (mopl_grams(doc)) WITH (gin_pending_list_limit = 512);

CREATE FUNCTION playlists_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO playlist_search (playlist_id, doc) SELECT id, mopl_fold(title || E'\n' || description) FROM new_rows;
    PERFORM 1 FROM users WHERE id IN (SELECT owner_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET playlist_count = playlist_count + d.n
    FROM (SELECT owner_id, count(*) AS n FROM new_rows GROUP BY owner_id) d WHERE u.id = d.owner_id;
    INSERT INTO counters AS k SELECT 'playlists', mopl_shard(), count(*) FROM new_rows
    ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER playlists_inserted AFTER INSERT ON playlists REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION playlists_inserted();

CREATE FUNCTION playlists_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users WHERE id IN (SELECT owner_id FROM old_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET playlist_count = playlist_count - d.n
    FROM (SELECT owner_id, count(*) AS n FROM old_rows GROUP BY owner_id) d WHERE u.id = d.owner_id;
    INSERT INTO counters AS k SELECT 'playlists', mopl_shard(), -count(*) FROM old_rows
    ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER playlists_deleted AFTER DELETE ON playlists REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION playlists_deleted();

CREATE FUNCTION playlists_text_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE playlist_search SET doc = mopl_fold(NEW.title || E'\n' || NEW.description) WHERE playlist_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER playlists_text_changed AFTER UPDATE OF title, description ON playlists FOR EACH ROW
WHEN (OLD.title IS DISTINCT FROM NEW.title OR OLD.description IS DISTINCT FROM NEW.description)
EXECUTE FUNCTION playlists_text_changed();

CREATE FUNCTION playlist_contents_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM 1 FROM playlists WHERE id IN (SELECT playlist_id FROM changed_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE playlists p SET content_count = content_count + direction * d.n
    FROM (SELECT playlist_id, count(*) AS n FROM changed_rows GROUP BY playlist_id) d WHERE p.id = d.playlist_id;
    RETURN NULL;
END $$;
CREATE TRIGGER playlist_contents_inserted AFTER INSERT ON playlist_contents REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION playlist_contents_counted();
CREATE TRIGGER playlist_contents_deleted AFTER DELETE ON playlist_contents REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION playlist_contents_counted();

CREATE FUNCTION playlist_subscriptions_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM 1 FROM playlists WHERE id IN (SELECT playlist_id FROM changed_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE playlists p SET subscriber_count = subscriber_count + direction * d.n
    FROM (SELECT playlist_id, count(*) AS n FROM changed_rows GROUP BY playlist_id) d WHERE p.id = d.playlist_id;
    PERFORM 1 FROM users WHERE id IN (SELECT user_id FROM changed_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET subscription_count = subscription_count + direction * d.n
    FROM (SELECT user_id, count(*) AS n FROM changed_rows GROUP BY user_id) d WHERE u.id = d.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER playlist_subscriptions_inserted AFTER INSERT ON playlist_subscriptions REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION playlist_subscriptions_counted();
CREATE TRIGGER playlist_subscriptions_deleted AFTER DELETE ON playlist_subscriptions REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION playlist_subscriptions_counted();
