-- What operators change of players: first what is about to be done, then what came of it.
--
-- Neither table can be changed once written, by whichever role: what an operator did stays. A row names its player by `subject`, a number
-- that `operator_subjects` alone links to the account. The link goes with the account, so the log outlives a player without
-- what identifies one.
-- The row of `operator_subjects` is the lock under which one operator at a time changes a player: numbers of one player are in
-- the order of the versions.

CREATE TABLE operator_subjects (
    subject bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT one_subject_each UNIQUE (user_id)
);

CREATE TABLE operator_intents (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    operator text NOT NULL,
    reason   text NOT NULL,
    subject  bigint NOT NULL,
    what     text NOT NULL,
    amount   double precision NOT NULL,
    undoes   bigint REFERENCES operator_intents (number),
    CONSTRAINT intent_explained CHECK (btrim(reason) <> '' AND btrim(operator) <> '')
);

CREATE INDEX operator_intents_of_subject ON operator_intents (subject, number);

CREATE TABLE operator_log (
    number   bigint PRIMARY KEY REFERENCES operator_intents (number),
    made_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    operator text NOT NULL,
    reason   text NOT NULL,
    subject  bigint NOT NULL,
    what     text NOT NULL,
    amount   double precision NOT NULL,
    undoes   bigint,
    outcome  text NOT NULL,
    before   double precision,
    after    double precision,
    version  bigint,
    CONSTRAINT outcome_known CHECK (outcome IN ('done', 'refused', 'unknown'))
);

CREATE INDEX operator_log_of_subject ON operator_log (subject, number);

CREATE FUNCTION operator_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what operators did cannot be changed: % of %', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE TRIGGER intents_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_intents
    FOR EACH STATEMENT EXECUTE FUNCTION operator_log_stays();
CREATE TRIGGER log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_log
    FOR EACH STATEMENT EXECUTE FUNCTION operator_log_stays();

COMMENT ON COLUMN operator_intents.what IS 'a field of the session, rank, or the id of an upgrade; otherwise what was done';
COMMENT ON COLUMN operator_intents.amount IS 'how much more or less in the unit of the field; of the rank the new one; otherwise 0';
COMMENT ON COLUMN operator_log.outcome IS 'done; refused: by the rules; unknown: begun, and nobody looked within a day';
COMMENT ON COLUMN operator_log.before IS 'null where the reply was lost and the change found made, and where there is nothing to compare';
