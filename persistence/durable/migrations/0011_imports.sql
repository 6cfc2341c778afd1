-- Imports: an operator's change of a whole session at once. Both texts are JSON: numbers in the units of a session, what is owned,
-- what was achieved; nothing that says who the player is.
--
-- The indexes serve the search for players by the beginning of an e-mail or a name: bytes are compared, as a prefix is.

ALTER TABLE operator_intents ADD COLUMN session_given text;
ALTER TABLE operator_log ADD COLUMN session_found text;

COMMENT ON COLUMN operator_intents.session_given IS 'of an import, what is to be in the session; otherwise null';
COMMENT ON COLUMN operator_log.session_found IS 'of an import, what was in the session before; null where the reply was lost';

CREATE INDEX accounts_email_prefix ON accounts (email text_pattern_ops);
CREATE INDEX accounts_name_prefix ON accounts (name_key text_pattern_ops);
