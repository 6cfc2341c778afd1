-- What is on sale and what each rank needs. Content comes from seeds/, never from a migration.
--
-- The kinds are look-up tables, so that seeding them twice is safe and a new one needs no change of a type.
-- Prices are double precision like the money that pays them; boost values are exact: at most two decimals.
-- `catalogue_state` has one row. Its generation grows in the transaction of each real change, which is how every
-- server process learns of one.

CREATE TABLE upgrade_types (
    name     text PRIMARY KEY,
    position smallint NOT NULL,
    CONSTRAINT upgrade_type_position_unique UNIQUE (position)
);

CREATE TABLE boost_types (
    name text PRIMARY KEY
);

CREATE TABLE boosts (
    id         integer PRIMARY KEY,
    boost_type text NOT NULL REFERENCES boost_types (name),
    value      numeric(12, 2) NOT NULL,
    CONSTRAINT boost_value_positive CHECK (value > 0)
);

CREATE TABLE upgrades (
    id           integer PRIMARY KEY,
    name_ru      text NOT NULL,
    name_en      text NOT NULL,
    icon_name    text NOT NULL,
    upgrade_type text NOT NULL REFERENCES upgrade_types (name),
    price_factor double precision NOT NULL,
    price        double precision NOT NULL,
    access_level smallint NOT NULL,
    boost_id     integer NOT NULL REFERENCES boosts (id),
    CONSTRAINT icon_name_unique UNIQUE (icon_name),
    CONSTRAINT upgrade_boost_unique UNIQUE (boost_id),
    CONSTRAINT price_factor_known CHECK (price_factor BETWEEN 1 AND 1000),
    CONSTRAINT price_known CHECK (price BETWEEN 0 AND 1e15 AND price = floor(price)),
    CONSTRAINT access_level_known CHECK (access_level BETWEEN 0 AND 100)
);

CREATE TABLE levels (
    rank smallint PRIMARY KEY,
    xp   bigint NOT NULL,
    CONSTRAINT level_rank_known CHECK (rank BETWEEN 1 AND 100),
    CONSTRAINT level_xp_positive CHECK (xp > 0)
);

CREATE TABLE catalogue_state (
    only_row   boolean PRIMARY KEY DEFAULT true,
    generation bigint NOT NULL,
    CONSTRAINT catalogue_state_one_row CHECK (only_row)
);

INSERT INTO catalogue_state (generation) VALUES (0);

CREATE TABLE catalogue_changes (
    generation    bigint PRIMARY KEY,
    changed_at_ms bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)
);

COMMENT ON COLUMN upgrades.price IS 'whole money for the first purchase; the next costs price * price_factor^times_bought';
COMMENT ON COLUMN upgrades.access_level IS 'the rank that buying it needs';
COMMENT ON COLUMN upgrades.boost_id IS 'one boost each, with the number of its upgrade';
COMMENT ON COLUMN levels.xp IS 'whole xp that reaching this rank from the one before costs';
COMMENT ON COLUMN catalogue_state.generation IS 'grows with each change of upgrades, boosts or levels';
COMMENT ON TABLE catalogue_changes IS 'since when a generation holds: income up to then is paid at the rates of the one before';
