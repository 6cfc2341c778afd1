-- What names look like: of two that share a skeleton one would be taken for the other.
--
-- The server computes skeletons (persistence/durable/names.py), since Unicode's table of look-alikes is not in PostgreSQL: for a name
-- that is chosen at once, for those chosen before at its next start. skeleton_of is the name that they were computed for; it differs
-- where an older release wrote a name, and the trigger lets go of what the name before it looked like.
-- Of names that look the same by this rule the oldest account's has the skeleton; the others are kept without one, as they were chosen
-- when that was allowed. A migration that empties skeleton_of has all of them computed anew, for another table of look-alikes.

ALTER TABLE accounts
    ADD COLUMN skeleton_of text,
    ADD COLUMN skeleton_typed text,
    ADD COLUMN skeleton_capitals text;

CREATE UNIQUE INDEX skeleton_typed_unique ON accounts (skeleton_typed);
CREATE UNIQUE INDEX skeleton_capitals_unique ON accounts (skeleton_capitals);
CREATE INDEX skeletons_missing ON accounts (id) WHERE display_name IS DISTINCT FROM skeleton_of;

CREATE FUNCTION let_go_of_skeletons() RETURNS trigger LANGUAGE plpgsql AS $let_go$
BEGIN
    IF NEW.skeleton_of IS DISTINCT FROM NEW.display_name THEN
        NEW.skeleton_of := NULL;
        NEW.skeleton_typed := NULL;
        NEW.skeleton_capitals := NULL;
    END IF;
    RETURN NEW;
END
$let_go$;

CREATE TRIGGER let_go_of_skeletons BEFORE INSERT OR UPDATE OF display_name ON accounts
FOR EACH ROW EXECUTE FUNCTION let_go_of_skeletons();

COMMENT ON COLUMN accounts.skeleton_of IS 'the name whose skeletons stand here; another one, or null: they are to be computed';
COMMENT ON COLUMN accounts.skeleton_typed IS 'what the name looks like as it is written; null for one chosen when another looked so already';
COMMENT ON COLUMN accounts.skeleton_capitals IS 'what it looks like in capital letters; null likewise';
