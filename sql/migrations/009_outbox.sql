-- Events leave the system only through here: written in the transaction that makes them true, read in order by the relay.

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     uuid NOT NULL, -- the same on redelivery and after a redrive: consumers recognise an event by it
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Ids become visible out of order; a reader takes only rows whose transaction is older than every running one.
    xact_id      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic        text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL, -- order is kept among events of one key
    type         text COLLATE "C" NOT NULL,
    payload      jsonb NOT NULL,
    position     bigint CONSTRAINT outbox_position UNIQUE, -- given by the relay in visible order; without gaps or repeats
    published_at timestamptz, -- acknowledged by the bus
    CONSTRAINT outbox_published_has_position CHECK (published_at IS NULL OR position IS NOT NULL)
);
CREATE INDEX outbox_unsequenced ON outbox (id) WHERE position IS NULL;
CREATE INDEX outbox_pending ON outbox (position) WHERE published_at IS NULL AND position IS NOT NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX outbox_by_topic ON outbox (topic, position) WHERE position IS NOT NULL;

-- Wakes the relay at once; it also looks by itself, so a lost notification only costs time.
CREATE FUNCTION outbox_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY mopl_outbox;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_written AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_written();

-- How far each consumer group of the embedded bus has come: moved in the transaction of what the consumer did.
CREATE TABLE bus_offsets (
    consumer_group text COLLATE "C" NOT NULL,
    topic          text COLLATE "C" NOT NULL,
    position       bigint NOT NULL,
    PRIMARY KEY (consumer_group, topic)
);

-- What a person's streams resume from: one increasing id a person for notifications and direct messages, kept for 7 days.
CREATE TABLE user_events (
    position   bigint NOT NULL, -- of the outbox row it came from: the id of the SSE event
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id   uuid NOT NULL,
    name       text COLLATE "C" NOT NULL CONSTRAINT user_events_name CHECK (name IN ('notifications', 'direct-messages')),
    payload    jsonb NOT NULL,
    PRIMARY KEY (user_id, position)
);
CREATE INDEX user_events_by_created ON user_events (created_at);
