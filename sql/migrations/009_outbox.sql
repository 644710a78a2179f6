-- Events leave the system only through here: written in the transaction that makes them true, read in order by the relay.

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     uuid NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Ids become visible out of order; a reader takes only rows whose transaction is older than every running one.
    xact_id      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic        text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL, -- order is kept among events of one key
    type         text COLLATE "C" NOT NULL,
    payload      jsonb NOT NULL,
    published_at timestamptz
);
CREATE INDEX outbox_pending ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
