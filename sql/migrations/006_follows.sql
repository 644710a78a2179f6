-- Who follows whom; both counts are kept in the users' rows.

CREATE TABLE follows (
    id          uuid PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    follower_id uuid NOT NULL CONSTRAINT follows_follower REFERENCES users ON DELETE CASCADE,
    followee_id uuid NOT NULL CONSTRAINT follows_followee REFERENCES users ON DELETE CASCADE,
    CONSTRAINT follows_once UNIQUE (follower_id, followee_id),
    CONSTRAINT follows_not_oneself CHECK (follower_id <> followee_id)
);
CREATE INDEX follows_followers ON follows (followee_id, created_at, id);
CREATE INDEX follows_followings ON follows (follower_id, created_at, id);

CREATE FUNCTION follows_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM 1 FROM users WHERE id IN (SELECT follower_id FROM changed_rows UNION SELECT followee_id FROM changed_rows)
    ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET following_count = following_count + direction * d.followings, follower_count = follower_count + direction * d.followers
    FROM (SELECT id, sum(followings) AS followings, sum(followers) AS followers
          FROM (SELECT follower_id AS id, 1 AS followings, 0 AS followers FROM changed_rows
                UNION ALL SELECT followee_id, 0, 1 FROM changed_rows) both_sides GROUP BY id) d
    WHERE u.id = d.id;
    RETURN NULL;
END $$;
CREATE TRIGGER follows_inserted AFTER INSERT ON follows REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION follows_counted();
CREATE TRIGGER follows_deleted AFTER DELETE ON follows REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION follows_counted();
