-- Events leave the system only through here: written in the transaction that makes them true, put in order by the relay.

-- Ids become visible out of order: a reader that remembered the last id would skip what commits late. So nobody reads by id: the relay
-- gives every row that has become visible the next position, and all readers go by positions. It is the only one that does, and its
-- updates of outbox_progress queue up behind each other, so positions become visible in their order.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id   uuid NOT NULL, -- the same on redelivery and after a redrive: consumers recognise an event by it
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    topic      text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL, -- order is kept among events of one key
    type       text COLLATE "C" NOT NULL,
    payload    jsonb NOT NULL,
    position   bigint CONSTRAINT outbox_position UNIQUE -- null until the relay has seen it
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX outbox_unsequenced ON outbox (id) WHERE position IS NULL;
CREATE INDEX outbox_by_topic ON outbox (topic, position) WHERE position IS NOT NULL;

-- One row: how far the relay has come.
CREATE TABLE outbox_progress (
    one       boolean PRIMARY KEY DEFAULT true CONSTRAINT outbox_progress_one CHECK (one),
    sequenced bigint NOT NULL DEFAULT 0, -- the last position given
    published bigint NOT NULL DEFAULT 0, -- everything up to here is acknowledged by the bus
    CONSTRAINT outbox_progress_in_order CHECK (published <= sequenced)
) WITH (fillfactor = 50); -- room to change in place
INSERT INTO outbox_progress DEFAULT VALUES;

-- Wakes the relay at once if it sleeps; it also looks by itself, so a lost notification only costs time. A sleeping relay holds this lock.
-- Whoever gets it keeps it to the end of the transaction, and the relay does not fall asleep before: so it is not notified while it is awake,
-- because a NOTIFY lets transactions commit only one after another (with it 0.9, without it 9 thousand a second).
CREATE FUNCTION outbox_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(hashtext('mopl'), hashtext('outbox_idle')) THEN
        NOTIFY mopl_outbox;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_written AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_written();

-- How far each consumer group of the embedded bus has come: moved in the transaction of what the consumer did.
CREATE TABLE bus_offsets (
    consumer_group text COLLATE "C" NOT NULL,
    topic          text COLLATE "C" NOT NULL,
    position       bigint NOT NULL,
    PRIMARY KEY (consumer_group, topic)
) WITH (fillfactor = 50);

-- What a person's streams resume from: one increasing id for notifications and direct messages, written by the relay with the position,
-- kept for 7 days.
CREATE TABLE user_events (
    position   bigint NOT NULL, -- of the outbox row it came from: the id of the SSE event
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id   uuid NOT NULL,
    name       text COLLATE "C" NOT NULL CONSTRAINT user_events_name CHECK (name IN ('notifications', 'direct-messages')),
    payload    jsonb NOT NULL,
    PRIMARY KEY (user_id, position),
    CONSTRAINT user_events_once UNIQUE (user_id, event_id) -- a redriven event is not resumed twice
);
CREATE INDEX user_events_by_created ON user_events (created_at);
