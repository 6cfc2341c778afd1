-- The last saved state of every player, one row each, written by the flusher and fenced by `version`.
--
-- Amounts are double precision: exact to 2^53, then the nearest double, at most 1e300; NaN compares above
-- everything in PostgreSQL, so BETWEEN keeps it out too.
-- `bought`, `achieved`, `offline` and `rates` are those of the session hash, so that a flush and a restore move
-- them untouched. `clients` is json, not jsonb: a client's name may contain U+0000, which jsonb cannot hold.
-- Nothing but the primary key is indexed: every flush changes `updated_at` and `version`, and an index on either would
-- cost each of these updates its place in the page (HOT).

CREATE TABLE sessions (
    user_id     bigint PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    version     bigint NOT NULL,
    accrued_at  bigint NOT NULL,
    money       double precision NOT NULL DEFAULT 0,
    dishes      double precision NOT NULL DEFAULT 0,
    rank        smallint NOT NULL DEFAULT 0,
    xp          double precision NOT NULL DEFAULT 0,
    stars       double precision NOT NULL DEFAULT 0,
    accumulated double precision NOT NULL DEFAULT 0,
    boost       double precision NOT NULL DEFAULT 0,
    bought      text NOT NULL DEFAULT '',
    clicks      double precision NOT NULL DEFAULT 0,
    cooked      double precision NOT NULL DEFAULT 0,
    earned      double precision NOT NULL DEFAULT 0,
    purchases   double precision NOT NULL DEFAULT 0,
    resets      double precision NOT NULL DEFAULT 0,
    achieved    text NOT NULL DEFAULT '',
    offline     text,
    clients     json,
    generation  bigint,
    rates       bytea,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT version_positive CHECK (version > 0),
    CONSTRAINT rank_known CHECK (rank BETWEEN 0 AND 100),
    CONSTRAINT amounts_finite CHECK (
        money BETWEEN 0 AND 1e300 AND dishes BETWEEN 0 AND 1e300 AND xp BETWEEN 0 AND 1e300
        AND stars BETWEEN 0 AND 1e300 AND accumulated BETWEEN 0 AND 1e300 AND boost BETWEEN 0 AND 1e300
        AND clicks BETWEEN 0 AND 1e300 AND cooked BETWEEN 0 AND 1e300 AND earned BETWEEN 0 AND 1e300
        AND purchases BETWEEN 0 AND 1e300 AND resets BETWEEN 0 AND 1e300
    )
) WITH (fillfactor = 70);

COMMENT ON TABLE sessions IS 'The last saved state of every player; Redis may hold a newer one.';
COMMENT ON COLUMN sessions.xp IS 'hundredths';
COMMENT ON COLUMN sessions.stars IS 'current prestige stars, ten-thousandths';
COMMENT ON COLUMN sessions.accumulated IS 'accumulated prestige stars, ten-thousandths';
COMMENT ON COLUMN sessions.boost IS 'prestige boost, tenths';
COMMENT ON COLUMN sessions.accrued_at IS 'the time of Redis in ms up to which passive income is paid';
COMMENT ON COLUMN sessions.bought IS 'times bought by upgrade: id:n,id:n,… with ascending ids';
COMMENT ON COLUMN sessions.offline IS 'earned while away and not yet shown: seconds:money:dishes:xp';
COMMENT ON COLUMN sessions.clients IS 'name of a client: highest:hi:lo:used_s, the window of its last 64 numbers';
COMMENT ON COLUMN sessions.rates IS 'what was derived from the catalogue of `generation`: income since accrued_at is paid at these rates up to the next change';
