-- Collected contents that an administrator deleted: the jobs leave them out, until somebody takes them back (mopl admin take-back).
-- Older programs go on.

CREATE TABLE removed_contents (
    source     text COLLATE "C" NOT NULL,
    source_id  text COLLATE "C" NOT NULL,
    type       text COLLATE "C" NOT NULL,
    title      text NOT NULL, -- for whoever looks for it
    removed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, source_id, type)
);
