-- Notifications: reading hides a row, a job purges it later. The number of unread ones is kept in the receiver's row.

CREATE TABLE notifications (
    id          uuid PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    receiver_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    event_id    uuid NOT NULL,
    read_at     timestamptz,
    level       text COLLATE "C" NOT NULL DEFAULT 'INFO' CONSTRAINT notifications_level CHECK (level IN ('INFO', 'WARNING', 'ERROR')),
    type        text COLLATE "C",
    resource_id uuid,
    title       text NOT NULL,
    content     text NOT NULL,
    CONSTRAINT notifications_once UNIQUE (event_id, receiver_id) -- a redelivered event makes no second row
);
CREATE INDEX notifications_unread ON notifications (receiver_id, created_at, id) WHERE read_at IS NULL;
CREATE INDEX notifications_of_receiver ON notifications (receiver_id);
CREATE INDEX notifications_read ON notifications (read_at) WHERE read_at IS NOT NULL;
CREATE INDEX notifications_by_created ON notifications (created_at);

CREATE FUNCTION notifications_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM 1 FROM users WHERE id IN (SELECT receiver_id FROM changed_rows WHERE read_at IS NULL) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET unread_notification_count = unread_notification_count + direction * d.n
    FROM (SELECT receiver_id, count(*) AS n FROM changed_rows WHERE read_at IS NULL GROUP BY receiver_id) d WHERE u.id = d.receiver_id;
    RETURN NULL;
END $$;
CREATE TRIGGER notifications_inserted AFTER INSERT ON notifications REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION notifications_counted();
CREATE TRIGGER notifications_deleted AFTER DELETE ON notifications REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION notifications_counted();

CREATE FUNCTION notifications_read() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET unread_notification_count = unread_notification_count + CASE WHEN NEW.read_at IS NULL THEN 1 ELSE -1 END
    WHERE id = NEW.receiver_id;
    RETURN NULL;
END $$;
CREATE TRIGGER notifications_read AFTER UPDATE OF read_at ON notifications FOR EACH ROW
WHEN ((OLD.read_at IS NULL) <> (NEW.read_at IS NULL)) EXECUTE FUNCTION notifications_read();
