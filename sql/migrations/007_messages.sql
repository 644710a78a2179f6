-- Conversations of two people, one row a side for its list and read marker, and their messages.

-- Version 7: milliseconds first, so that what is made one after another lies together in an index.
CREATE FUNCTION mopl_uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || right(replace(gen_random_uuid()::text, '-', ''), 19))::uuid;

-- Values of the payloads of events, in the forms of the contract.
CREATE FUNCTION mopl_time(t timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

CREATE FUNCTION mopl_user_summary(person uuid) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (SELECT jsonb_build_object('userId', id, 'name', name, 'profileImageUrl', '/api/files/' || image_key) FROM users WHERE id = person);

CREATE TABLE conversations (
    id            uuid PRIMARY KEY,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    low_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    high_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    message_count bigint NOT NULL DEFAULT 0 CONSTRAINT conversations_message_count CHECK (message_count >= 0),
    CONSTRAINT conversations_pair UNIQUE (low_id, high_id),
    CONSTRAINT conversations_not_oneself CHECK (low_id < high_id) -- one row a pair, whoever began
) WITH (fillfactor = 80); -- room for the counter to change in place
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
) WITH (fillfactor = 80);
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

CREATE FUNCTION direct_messages_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM 1 FROM conversations WHERE id IN (SELECT conversation_id FROM changed_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE conversations c SET message_count = message_count + direction * d.n
    FROM (SELECT conversation_id, count(*) AS n FROM changed_rows GROUP BY conversation_id) d WHERE c.id = d.conversation_id;
    RETURN NULL;
END $$;
CREATE TRIGGER direct_messages_inserted AFTER INSERT ON direct_messages REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION direct_messages_counted();
CREATE TRIGGER direct_messages_deleted AFTER DELETE ON direct_messages REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION direct_messages_counted();

-- Without Unicode white space at both ends; the same characters as utf8_trim of lib/utf8.c.
CREATE FUNCTION mopl_trim(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN btrim(t, U&'\0009\000A\000B\000C\000D\0020\0085\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\200B'
                '\2028\2029\202F\205F\3000\FEFF');

-- Locks are taken in one order by all who write here: conversation, members by their user's id, notifications, users.

-- Stores a message and tells of it; gives its DirectMessageDto, or null to who takes no part in the conversation. The text is trimmed; one
-- that is empty or too long then is refused by direct_messages_length. A message of this id that is there already: unique_violation.
CREATE FUNCTION mopl_send_direct_message(message_id uuid, to_conversation uuid, sender uuid, body text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    pair     conversations;
    receiver uuid;
    sent     direct_messages;
    dto      jsonb;
BEGIN
    SELECT * INTO pair FROM conversations WHERE id = to_conversation FOR NO KEY UPDATE;
    receiver := CASE sender WHEN pair.low_id THEN pair.high_id WHEN pair.high_id THEN pair.low_id END;
    IF receiver IS NULL THEN
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

-- Marks read the notifications of messages of a conversation up to a time. The member's row is locked first: whoever is about to write such
-- a notification holds it too, so none comes late.
CREATE FUNCTION mopl_clear_direct_message_notifications(reader uuid, of_conversation uuid, up_to timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM conversation_members WHERE user_id = reader AND conversation_id = of_conversation FOR NO KEY UPDATE;
    UPDATE notifications SET read_at = clock_timestamp()
    WHERE receiver_id = reader AND type = 'CONVERSATION' AND resource_id = of_conversation AND read_at IS NULL AND created_at <= up_to;
END $$;

-- Moves the reader's marker up to a message that he received; never back.
CREATE FUNCTION mopl_read_direct_message(of_conversation uuid, message_id uuid, reader uuid,
                                         OUT is_known boolean, OUT is_participant boolean, OUT has_message boolean)
LANGUAGE plpgsql AS $$
DECLARE
    pair    conversations;
    message direct_messages;
BEGIN
    SELECT * INTO pair FROM conversations WHERE id = of_conversation;
    SELECT * INTO message FROM direct_messages WHERE id = message_id AND conversation_id = pair.id;
    is_known := pair.id IS NOT NULL;
    is_participant := is_known AND reader IN (pair.low_id, pair.high_id);
    has_message := message.id IS NOT NULL;
    IF is_participant AND message.sender_id <> reader THEN
        UPDATE conversation_members SET read_at = message.created_at
        WHERE user_id = reader AND conversation_id = pair.id AND (read_at IS NULL OR read_at < message.created_at);
        IF FOUND THEN
            PERFORM mopl_clear_direct_message_notifications(reader, pair.id, message.created_at);
        END IF;
    END IF;
END $$;
