-- What people decide about each other and about their own account: blocks, mutes, deletion; and what is written in which language.

ALTER TABLE users
    ADD COLUMN deletion_due_at timestamptz, -- asked to be deleted: signing in before then undoes it
    ADD COLUMN language text COLLATE "C" NOT NULL DEFAULT 'ko' CONSTRAINT users_language CHECK (language IN ('ko', 'en')); -- of mails
CREATE INDEX users_by_deletion ON users (deletion_due_at) WHERE deletion_due_at IS NOT NULL;
CREATE INDEX sessions_of_user_by_agent ON sessions (user_id, user_agent);

CREATE TABLE blocks (
    blocker_id uuid NOT NULL CONSTRAINT blocks_blocker REFERENCES users ON DELETE CASCADE,
    blocked_id uuid NOT NULL CONSTRAINT blocks_blocked REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT blocks_once PRIMARY KEY (blocker_id, blocked_id),
    CONSTRAINT blocks_not_oneself CHECK (blocker_id <> blocked_id)
);
CREATE INDEX blocks_of_blocked ON blocks (blocked_id, blocker_id);
CREATE INDEX blocks_by_created ON blocks (blocker_id, created_at, blocked_id);

CREATE TABLE mutes (
    muter_id   uuid NOT NULL CONSTRAINT mutes_muter REFERENCES users ON DELETE CASCADE,
    muted_id   uuid NOT NULL CONSTRAINT mutes_muted REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT mutes_once PRIMARY KEY (muter_id, muted_id),
    CONSTRAINT mutes_not_oneself CHECK (muter_id <> muted_id)
);
CREATE INDEX mutes_of_muted ON mutes (muted_id);
CREATE INDEX mutes_by_created ON mutes (muter_id, created_at, muted_id);

-- A block works both ways: neither reaches or sees the other.
CREATE FUNCTION mopl_is_blocked(one uuid, other uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM blocks WHERE blocker_id = one AND blocked_id = other)
    OR EXISTS (SELECT FROM blocks WHERE blocker_id = other AND blocked_id = one);

-- Everybody whom a person has blocked, or who has blocked him.
CREATE FUNCTION mopl_blocked_with(person uuid) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT blocked_id FROM blocks WHERE blocker_id = person UNION ALL SELECT blocker_id FROM blocks WHERE blocked_id = person
$$;

-- Both rows of users are locked first, here and in mopl_block: of a follow and a block at the same time the second sees the first.
CREATE FUNCTION follows_not_blocked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users WHERE id IN (NEW.follower_id, NEW.followee_id) ORDER BY id FOR NO KEY UPDATE;
    IF mopl_is_blocked(NEW.follower_id, NEW.followee_id) THEN
        RAISE EXCEPTION 'blocked' USING ERRCODE = 'check_violation', CONSTRAINT = 'follows_not_blocked', TABLE = 'follows';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER follows_not_blocked BEFORE INSERT ON follows FOR EACH ROW EXECUTE FUNCTION follows_not_blocked();

-- Blocks somebody: follows between the two end. False if it was so already; a foreign key violation if there is no such person.
CREATE FUNCTION mopl_block(blocker uuid, target uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users WHERE id IN (blocker, target) ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO blocks (blocker_id, blocked_id) VALUES (blocker, target) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM follows WHERE (follower_id, followee_id) IN ((blocker, target), (target, blocker));
    RETURN true;
END $$;

-- Who did what a notification tells of: what a deleted person caused goes with him.
ALTER TABLE notifications ADD COLUMN actor_id uuid;
CREATE INDEX notifications_of_actor ON notifications (actor_id) WHERE actor_id IS NOT NULL;

-- As in 007_messages.sql, but null to people who are blocked, too.
CREATE OR REPLACE FUNCTION mopl_send_direct_message(message_id uuid, to_conversation uuid, sender uuid, body text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    pair     conversations;
    receiver uuid;
    sent     direct_messages;
    dto      jsonb;
BEGIN
    SELECT * INTO pair FROM conversations WHERE id = to_conversation FOR NO KEY UPDATE;
    receiver := CASE sender WHEN pair.low_id THEN pair.high_id WHEN pair.high_id THEN pair.low_id END;
    IF receiver IS NULL OR mopl_is_blocked(sender, receiver) THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM conversation_members WHERE conversation_id = pair.id ORDER BY user_id FOR NO KEY UPDATE;
    INSERT INTO direct_messages (id, conversation_id, sender_id, content, created_at)
    SELECT message_id, pair.id, sender, mopl_trim(body), greatest(clock_timestamp(), active_at + interval '1 microsecond')
    FROM conversation_members WHERE user_id = sender AND conversation_id = pair.id RETURNING * INTO sent;
    UPDATE conversation_members SET last_message_id = sent.id, active_at = sent.created_at,
        received_at = CASE user_id WHEN receiver THEN sent.created_at ELSE received_at END
    WHERE conversation_id = pair.id;
    dto := jsonb_build_object('id', sent.id, 'conversationId', pair.id, 'createdAt', mopl_time(sent.created_at),
                              'sender', mopl_user_summary(sender), 'receiver', mopl_user_summary(receiver), 'content', sent.content);
    INSERT INTO outbox (event_id, topic, key, type, payload)
    VALUES (sent.id, 'mopl.direct-messages', pair.id::text, 'direct-message.created', dto),
           (mopl_uuid_v7(), 'mopl.domain-events', sender::text, 'direct-message.created',
            jsonb_build_object('directMessageId', sent.id, 'conversationId', pair.id, 'userId', sender, 'receiverId', receiver));
    RETURN dto;
END $$;
