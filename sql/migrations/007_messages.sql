-- Conversations of two people, one row a side for its list and read marker, and their messages.

CREATE TABLE conversations (
    id         uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    low_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    high_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    CONSTRAINT conversations_pair UNIQUE (low_id, high_id),
    CONSTRAINT conversations_not_oneself CHECK (low_id < high_id) -- one row a pair, whoever began
);
CREATE INDEX conversations_of_high ON conversations (high_id);

CREATE TABLE direct_messages (
    id              uuid PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    sender_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    content         text NOT NULL CONSTRAINT direct_messages_length CHECK (char_length(content) BETWEEN 1 AND 1000),
    CONSTRAINT direct_messages_strictly_increasing UNIQUE (conversation_id, created_at)
);
CREATE INDEX direct_messages_of_sender ON direct_messages (sender_id);

CREATE TABLE conversation_members (
    user_id         uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    other_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    last_message_id uuid REFERENCES direct_messages ON DELETE SET NULL,
    active_at       timestamptz NOT NULL, -- of the last message; of the conversation while it has none
    received_at     timestamptz,          -- of the last message received
    read_at         timestamptz,          -- the marker: received messages up to here are read
    PRIMARY KEY (user_id, conversation_id)
);
CREATE INDEX conversation_members_by_activity ON conversation_members (user_id, active_at, conversation_id);
CREATE INDEX conversation_members_of_conversation ON conversation_members (conversation_id);
CREATE INDEX conversation_members_of_other ON conversation_members (other_id);
CREATE INDEX conversation_members_of_message ON conversation_members (last_message_id);

CREATE FUNCTION conversation_members_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM 1 FROM users WHERE id IN (SELECT user_id FROM changed_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET conversation_count = conversation_count + direction * d.n
    FROM (SELECT user_id, count(*) AS n FROM changed_rows GROUP BY user_id) d WHERE u.id = d.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER conversation_members_inserted AFTER INSERT ON conversation_members REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION conversation_members_counted();
CREATE TRIGGER conversation_members_deleted AFTER DELETE ON conversation_members REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION conversation_members_counted();
