-- Whether the parts that only workers speak to (mail server, bus) are there, as the worker found it last: for the health, which asks nobody.
-- Older programs go on.

CREATE TABLE part_states (
    name       text COLLATE "C" PRIMARY KEY,
    up         boolean NOT NULL,
    error      text,                 -- why it is not up
    since      timestamptz NOT NULL, -- that it is so
    good_until timestamptz NOT NULL  -- then the worker that should have looked again is taken for dead, and its part for away
);
