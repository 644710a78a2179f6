-- What people report, and the audit log as administrators read it.

CREATE TABLE reports (
    id          uuid PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    reporter_id uuid NOT NULL CONSTRAINT reports_reporter REFERENCES users ON DELETE CASCADE,
    type        text COLLATE "C" NOT NULL CONSTRAINT reports_type CHECK (type IN ('USER', 'REVIEW', 'PLAYLIST', 'DIRECT_MESSAGE')),
    target_id   uuid NOT NULL,
    -- Whose it is; with him go the reports of it.
    author_id   uuid NOT NULL CONSTRAINT reports_author REFERENCES users ON DELETE CASCADE,
    excerpt     text NOT NULL, -- what it said when it was reported
    reason      text NOT NULL CONSTRAINT reports_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1000),
    status      text COLLATE "C" NOT NULL DEFAULT 'OPEN' CONSTRAINT reports_status CHECK (status IN ('OPEN', 'DISMISSED', 'DELETED', 'LOCKED')),
    resolved_at timestamptz,
    resolved_by uuid CONSTRAINT reports_resolver REFERENCES users ON DELETE SET NULL,
    CONSTRAINT reports_resolved CHECK ((status = 'OPEN') = (resolved_at IS NULL))
);
CREATE UNIQUE INDEX reports_open_once ON reports (reporter_id, type, target_id) WHERE status = 'OPEN';
CREATE INDEX reports_by_created ON reports (created_at, id);
CREATE INDEX reports_by_status ON reports (status, created_at, id);
CREATE INDEX reports_of_target ON reports (target_id) WHERE status = 'OPEN';
CREATE INDEX reports_of_reporter ON reports (reporter_id, created_at, id);
CREATE INDEX reports_of_author ON reports (author_id);
CREATE INDEX reports_of_resolver ON reports (resolved_by);

CREATE FUNCTION reports_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO counters AS k VALUES ('reports:' || OLD.status, mopl_shard(), -1) ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO counters AS k VALUES ('reports:' || NEW.status, mopl_shard(), 1) ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reports_counted AFTER INSERT OR DELETE OR UPDATE OF status ON reports FOR EACH ROW EXECUTE FUNCTION reports_counted();

-- The text of something that can be reported, and whose it is; nothing if there is no such thing, or the reader may not see it.
CREATE FUNCTION mopl_reportable(kind text, target uuid, reader uuid, OUT author uuid, OUT excerpt text)
LANGUAGE sql STABLE AS $$
    SELECT id, name FROM users WHERE kind = 'USER' AND id = target
    UNION ALL SELECT author_id, text FROM reviews WHERE kind = 'REVIEW' AND id = target
    UNION ALL SELECT owner_id, left(title || E'\n' || description, 2300) FROM playlists WHERE kind = 'PLAYLIST' AND id = target
    UNION ALL SELECT d.sender_id, d.content FROM direct_messages d JOIN conversations c ON c.id = d.conversation_id
        WHERE kind = 'DIRECT_MESSAGE' AND d.id = target AND reader IN (c.low_id, c.high_id)
$$;

-- The list of a conversation shows the message before a deleted one.
CREATE FUNCTION mopl_delete_direct_message(target uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    pair uuid := (SELECT conversation_id FROM direct_messages WHERE id = target);
BEGIN
    PERFORM 1 FROM conversations WHERE id = pair FOR NO KEY UPDATE;
    PERFORM 1 FROM conversation_members WHERE conversation_id = pair ORDER BY user_id FOR NO KEY UPDATE;
    UPDATE conversation_members SET last_message_id = (SELECT id FROM direct_messages WHERE conversation_id = pair AND id <> target
                                                       ORDER BY created_at DESC LIMIT 1)
    WHERE conversation_id = pair AND last_message_id = target;
    DELETE FROM direct_messages WHERE id = target;
    RETURN FOUND;
END $$;

-- Pages of the log need an id that is unique together with the time.
ALTER TABLE audit_log ADD COLUMN entry_id uuid NOT NULL DEFAULT mopl_uuid_v7() CONSTRAINT audit_log_entry UNIQUE;
CREATE INDEX audit_log_by_at ON audit_log (at, entry_id);
CREATE INDEX audit_log_of_actor ON audit_log (actor_id, at, entry_id);
CREATE INDEX audit_log_of_subject ON audit_log (subject_id, at, entry_id);

CREATE FUNCTION audit_log_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counters AS k VALUES ('audit', mopl_shard(), CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END)
    ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_log_counted AFTER INSERT OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_counted();
INSERT INTO counters SELECT 'audit', 0, count(*) FROM audit_log;
