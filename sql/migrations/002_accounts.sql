-- People, their sessions and their refresh tokens, linked social accounts, and the audit log.

CREATE TABLE users (
    id                             uuid PRIMARY KEY,
    created_at                     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at                     timestamptz NOT NULL DEFAULT clock_timestamp(),
    email                          text COLLATE "C" NOT NULL CONSTRAINT users_email_unique UNIQUE
                                   CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    name                           text COLLATE "C" NOT NULL CONSTRAINT users_name_length CHECK (char_length(name) BETWEEN 2 AND 50),
    image_key                      text COLLATE "C",
    role                           text COLLATE "C" NOT NULL DEFAULT 'USER' CONSTRAINT users_role CHECK (role IN ('USER', 'ADMIN')),
    locked                         boolean NOT NULL DEFAULT false,
    password_hash                  text COLLATE "C", -- null: signs in with a social account only
    temporary_password_hash        bytea,
    temporary_password_expires_at  timestamptz,
    review_count                   bigint NOT NULL DEFAULT 0 CONSTRAINT users_review_count CHECK (review_count >= 0),
    playlist_count                 bigint NOT NULL DEFAULT 0 CONSTRAINT users_playlist_count CHECK (playlist_count >= 0),
    subscription_count             bigint NOT NULL DEFAULT 0 CONSTRAINT users_subscription_count CHECK (subscription_count >= 0),
    follower_count                 bigint NOT NULL DEFAULT 0 CONSTRAINT users_follower_count CHECK (follower_count >= 0),
    following_count                bigint NOT NULL DEFAULT 0 CONSTRAINT users_following_count CHECK (following_count >= 0),
    conversation_count             bigint NOT NULL DEFAULT 0 CONSTRAINT users_conversation_count CHECK (conversation_count >= 0),
    unread_notification_count      bigint NOT NULL DEFAULT 0 CONSTRAINT users_unread_count CHECK (unread_notification_count >= 0),
    CONSTRAINT users_temporary_password CHECK ((temporary_password_hash IS NULL) = (temporary_password_expires_at IS NULL))
) WITH (fillfactor = 80); -- room for the counters to change in place

-- One index a sort key of the administrators' list.
CREATE INDEX users_by_name ON users (name, id);
CREATE INDEX users_by_email ON users (email, id);
CREATE INDEX users_by_created ON users (created_at, id);
CREATE INDEX users_by_locked ON users (locked, id);
CREATE INDEX users_by_role ON users (role, id);
-- The few who are administrators or locked are listed without walking past everybody else.
CREATE INDEX users_admins_by_name ON users (name, id) WHERE role = 'ADMIN';
CREATE INDEX users_admins_by_email ON users (email, id) WHERE role = 'ADMIN';
CREATE INDEX users_admins_by_created ON users (created_at, id) WHERE role = 'ADMIN';
CREATE INDEX users_admins_by_locked ON users (locked, id) WHERE role = 'ADMIN';
CREATE INDEX users_locked_by_name ON users (name, id) WHERE locked;
CREATE INDEX users_locked_by_email ON users (email, id) WHERE locked;
CREATE INDEX users_locked_by_created ON users (created_at, id) WHERE locked;
CREATE INDEX users_locked_by_role ON users (role, id) WHERE locked;
CREATE INDEX users_by_follower_count ON users (follower_count, id);
CREATE INDEX users_email_grams ON users USING gin (mopl_grams(mopl_fold(email)));

CREATE FUNCTION users_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO counters AS k SELECT 'users:' || OLD.role || CASE WHEN OLD.locked THEN ':locked' ELSE ':open' END, mopl_shard(), -1
        ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO counters AS k SELECT 'users:' || NEW.role || CASE WHEN NEW.locked THEN ':locked' ELSE ':open' END, mopl_shard(), 1
        ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER users_counted AFTER INSERT OR DELETE OR UPDATE OF role, locked ON users FOR EACH ROW EXECUTE FUNCTION users_counted();

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text COLLATE "C" CONSTRAINT sessions_end_reason
                 CHECK (end_reason IN ('sign-out', 'lock', 'role', 'password', 'evicted', 'reuse', 'deleted')),
    user_agent   text NOT NULL DEFAULT '',
    address      text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT sessions_ended CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_living_of_user ON sessions (user_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    token_hash     bytea PRIMARY KEY, -- SHA-256: the token itself is nowhere
    session_id     uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    issued_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaced_at    timestamptz,
    successor_hash bytea,
    CONSTRAINT refresh_tokens_hash CHECK (octet_length(token_hash) = 32),
    CONSTRAINT refresh_tokens_replaced CHECK ((replaced_at IS NULL) = (successor_hash IS NULL))
);
CREATE UNIQUE INDEX refresh_tokens_current ON refresh_tokens (session_id) WHERE replaced_at IS NULL;
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE social_accounts (
    provider   text COLLATE "C" NOT NULL CONSTRAINT social_accounts_provider CHECK (provider IN ('google', 'kakao')),
    subject    text COLLATE "C" NOT NULL, -- the provider's own id of the person
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    email      text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, subject)
);
CREATE UNIQUE INDEX social_accounts_of_user ON social_accounts (user_id, provider);

-- Who did what to whom, for administrators; people may be gone by then, so there are no foreign keys.
CREATE TABLE audit_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id   uuid,
    action     text COLLATE "C" NOT NULL,
    subject_id uuid,
    details    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_by_time ON audit_log (at, id);
