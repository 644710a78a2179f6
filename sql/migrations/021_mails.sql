-- Mails to be sent: written in the transaction of what they tell of, sent and removed by workers/mailer. No address and no secret is here:
-- both are looked up, or made, when the mail is sent.

CREATE TABLE mails (
    id         uuid PRIMARY KEY DEFAULT mopl_uuid_v7(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    kind       text COLLATE "C" NOT NULL CONSTRAINT mails_kind CHECK (kind IN ('temporary-password', 'password-changed', 'new-device',
               'role-changed', 'locked', 'unlocked', 'deletion-asked', 'deletion-undone')),
    details    jsonb NOT NULL DEFAULT '{}', -- texts that the wording of its kind names
    language   text COLLATE "C" CONSTRAINT mails_language CHECK (language IN ('ko', 'en')), -- null: the receiver's
    attempts   integer NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT clock_timestamp(), -- of the next attempt; while one is under way, when it counts as lost
    refused_at timestamptz, -- the receiver's server wants it never: kept for 30 days, for whoever looks for it
    error      text
);
CREATE INDEX mails_due ON mails (due_at) WHERE refused_at IS NULL;
CREATE INDEX mails_refused ON mails (refused_at) WHERE refused_at IS NOT NULL;
CREATE INDEX mails_of_user ON mails (user_id);

CREATE FUNCTION mails_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY mopl_mails;
    RETURN NULL;
END $$;
CREATE TRIGGER mails_written AFTER INSERT ON mails FOR EACH STATEMENT EXECUTE FUNCTION mails_written();
