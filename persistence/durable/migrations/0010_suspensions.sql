-- Players who may not play for a time. A row whose time is over counts for nothing.
--
-- An older release next to a newer one knows nothing of it: there a suspended player may log in again until it is replaced.

CREATE TABLE suspensions (
    user_id   bigint PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    since     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at   timestamptz,
    because   text NOT NULL
);

COMMENT ON COLUMN suspensions.ends_at IS 'null: without an end';
COMMENT ON COLUMN suspensions.because IS 'the reason that the player reads';
