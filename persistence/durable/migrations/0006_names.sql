-- Names are compared without regard to case whatever the locale of the database is.
--
-- lower() follows the database's locale: under C it leaves all but ASCII as it is, so that `Anna` in Cyrillic letters was taken twice
-- in two cases. Unicode's own rules come with PostgreSQL 17 (pg_c_utf8), with ICU before it; where neither is, the locale decides
-- as before. lower(upper()) joins what only upper case joins: the two small sigmas.
-- A trigger writes the key, so that an older release beside a newer one writes it too. Of names that are the same by this rule the
-- oldest account's has the key; the others are kept without one, as they were chosen when that was allowed.

ALTER TABLE accounts ADD COLUMN name_key text;

DO $choose$
DECLARE
    rules text := coalesce(
        (
            SELECT quote_ident(collname) FROM pg_catalog.pg_collation
            WHERE collname IN ('pg_c_utf8', 'und-x-icu')
                AND collnamespace = 'pg_catalog'::regnamespace
                AND getdatabaseencoding() = 'UTF8'
            ORDER BY collname = 'pg_c_utf8' DESC LIMIT 1
        ),
        '"default"'
    );
BEGIN
    EXECUTE format(
        'CREATE FUNCTION name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT'
        ' AS $key$ SELECT lower(upper(name COLLATE pg_catalog.%1$s) COLLATE pg_catalog.%1$s) $key$',
        rules
    );
END
$choose$;

CREATE FUNCTION write_name_key() RETURNS trigger LANGUAGE plpgsql AS $write$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.display_name IS DISTINCT FROM OLD.display_name THEN
        NEW.name_key := name_key(NEW.display_name);
    END IF;
    RETURN NEW;
END
$write$;

UPDATE accounts SET name_key = name_key(display_name)
WHERE id IN (
    SELECT min(id) FROM accounts WHERE display_name IS NOT NULL GROUP BY name_key(display_name)
);

CREATE UNIQUE INDEX name_key_unique ON accounts (name_key);

CREATE TRIGGER write_name_key BEFORE INSERT OR UPDATE OF display_name ON accounts
FOR EACH ROW EXECUTE FUNCTION write_name_key();

COMMENT ON COLUMN accounts.name_key IS 'display_name without regard to case; null for one that was chosen when another had it already';
