-- What gaps earned also says how long they were, and the stars: two numbers behind the four that older releases wrote.
--
-- Texts of four numbers stay as they are and are read: their gap then is what was paid of it.

COMMENT ON COLUMN sessions.offline IS 'earned while away and not yet shown: seconds:money:dishes:xp:away_seconds:stars, or the first four';
