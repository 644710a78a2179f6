-- What live streams look for: sessions that ended lately, and how far back people's event logs reach.

CREATE INDEX sessions_ended_lately ON sessions (ended_at) WHERE ended_at IS NOT NULL;

-- What is above it is in user_events; what is up to it may have been purged. Moved on in the transaction that purges.
ALTER TABLE outbox_progress ADD COLUMN purged bigint NOT NULL DEFAULT 0;
UPDATE outbox_progress SET purged = coalesce((SELECT min(position) - 1 FROM user_events), sequenced);
