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
CREATE INDEX notifications_unread_of_conversation ON notifications (receiver_id, resource_id) WHERE read_at IS NULL AND type = 'CONVERSATION';
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

-- Transition tables allow no list of columns, so it runs with every update; read_at is what updates change.
CREATE FUNCTION notifications_read() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users WHERE id IN (SELECT receiver_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET unread_notification_count = unread_notification_count + d.n
    FROM (SELECT receiver_id, sum(n) AS n
          FROM (SELECT receiver_id, 1 AS n FROM new_rows WHERE read_at IS NULL
                UNION ALL SELECT receiver_id, -1 FROM old_rows WHERE read_at IS NULL) both_states GROUP BY receiver_id) d
    WHERE u.id = d.receiver_id AND d.n <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER notifications_read AFTER UPDATE ON notifications REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION notifications_read();

-- What the notifier still has to tell: a row an event, with the notification as it is written for everybody. One receiver, or a list of
-- people that is walked in chunks. A finished row stays for a while: the event may be delivered again.
CREATE TABLE fanouts (
    event_id    uuid PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(), -- of the notifications; whoever joins the list later is not told
    finished_at timestamptz,
    audience    text COLLATE "C" NOT NULL CONSTRAINT fanouts_audience CHECK (audience IN ('user', 'followers', 'subscribers')),
    audience_of uuid NOT NULL, -- the receiver, whose followers, the subscribers of which playlist
    actor_id    uuid NOT NULL, -- who did it and is not told
    receivers   bigint NOT NULL DEFAULT 0, -- passed so far, up to the follow or subscription named by the next two
    after_at    timestamptz NOT NULL DEFAULT '-infinity',
    after_id    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    level       text COLLATE "C" NOT NULL DEFAULT 'INFO',
    type        text COLLATE "C" NOT NULL,
    resource_id uuid NOT NULL,
    title       text NOT NULL,
    content     text NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX fanouts_to_one ON fanouts (created_at, event_id) WHERE finished_at IS NULL AND audience = 'user';
-- The one that has come least far is next, so a long list delays no short one.
CREATE INDEX fanouts_to_many ON fanouts (receivers, created_at, event_id) WHERE finished_at IS NULL AND audience <> 'user';
CREATE INDEX fanouts_finished ON fanouts (finished_at) WHERE finished_at IS NOT NULL;

-- When followers were last told that somebody watches a content.
CREATE TABLE watching_notices (
    user_id    uuid NOT NULL,
    content_id uuid NOT NULL,
    noticed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, content_id)
);
CREATE INDEX watching_notices_by_time ON watching_notices (noticed_at);
