-- Names that players chose, and the leaderboard: places among those who chose one.
--
-- The places are a materialized view, refreshed at most every few seconds by whoever asks: an index on `sessions`
-- itself would cost each flush its update in place (HOT), and a click must not pay for a list that few look at.

CREATE UNIQUE INDEX display_name_unique ON accounts (lower(display_name));

CREATE MATERIALIZED VIEW leaderboard AS
SELECT
    sessions.user_id,
    accounts.display_name AS name,
    sessions.earned,
    sessions.stars,
    rank() OVER (ORDER BY sessions.earned DESC) AS place_by_money,
    rank() OVER (ORDER BY sessions.stars DESC) AS place_by_stars
FROM sessions JOIN accounts ON accounts.id = sessions.user_id
WHERE accounts.display_name IS NOT NULL;

CREATE UNIQUE INDEX leaderboard_by_user ON leaderboard (user_id);
CREATE INDEX leaderboard_by_money ON leaderboard (place_by_money, user_id);
CREATE INDEX leaderboard_by_stars ON leaderboard (place_by_stars, user_id);

CREATE TABLE leaderboard_state (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    refreshed_at timestamptz NOT NULL
);

INSERT INTO leaderboard_state (refreshed_at) VALUES ('-infinity');
