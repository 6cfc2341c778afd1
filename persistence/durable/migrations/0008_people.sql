-- Guests: accounts without an e-mail and a password, until somebody claims them. Links that set a new password.
--
-- An older release beside a newer one reads a guest as an account that no e-mail finds and no password opens; the newer one
-- shows as no e-mail what the older one writes into such a session.
-- A link is kept as the SHA-256 of its token, until it is used or expires: who reads the table can use none.
-- `email_changed_at` finds those whose e-mail Redis may not have yet.
-- Deletions are counted, since the leaderboard shows a name until it is computed again: `deletions_shown` are in it.

ALTER TABLE accounts
    ALTER COLUMN email DROP NOT NULL,
    ALTER COLUMN password_hash DROP NOT NULL,
    ADD COLUMN email_changed_at timestamptz,
    ADD CONSTRAINT guest_has_neither CHECK ((email IS NULL) = (password_hash IS NULL));

CREATE INDEX guests ON accounts (id) WHERE email IS NULL;
CREATE INDEX emails_changed ON accounts (email_changed_at) WHERE email_changed_at IS NOT NULL;

CREATE TABLE reset_links (
    digest     bytea PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);

CREATE INDEX reset_links_of_user ON reset_links (user_id);
CREATE INDEX reset_links_by_expiry ON reset_links (expires_at);

ALTER TABLE leaderboard_state
    ADD COLUMN deletions bigint NOT NULL DEFAULT 0,
    ADD COLUMN deletions_shown bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN accounts.email IS 'lower case: addresses are compared without regard to case; null for a guest';
COMMENT ON COLUMN accounts.password_hash IS 'bcrypt; null for a guest';
COMMENT ON COLUMN reset_links.digest IS 'SHA-256 of the token that the link holds';
COMMENT ON COLUMN leaderboard_state.deletions IS 'how many accounts with a name were deleted';
COMMENT ON COLUMN leaderboard_state.deletions_shown IS 'how many of them the leaderboard was computed without';
