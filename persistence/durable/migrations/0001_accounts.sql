-- Who may play: accounts, the families of tokens that descend from one log-in each, and their refresh tokens.
--
-- A family outlives its account, hence no reference to it: a deleted account's access tokens must stay known as
-- revoked until they expire, also when Redis lost its marks.
-- Of a family's refresh tokens only the one in use and those used a moment ago are kept (see families.py).

CREATE TABLE accounts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text NOT NULL,
    password_hash text NOT NULL,
    display_name  text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT email_unique UNIQUE (email),
    CONSTRAINT email_lower_case CHECK (email = lower(email))
);

CREATE TABLE families (
    id         text PRIMARY KEY,
    user_id    bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE INDEX families_of_user ON families (user_id);
CREATE INDEX families_by_expiry ON families (expires_at);
CREATE INDEX families_by_revocation ON families (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    jti       text PRIMARY KEY,
    family    text NOT NULL REFERENCES families (id) ON DELETE CASCADE,
    issued_at timestamptz NOT NULL,
    used_at   timestamptz,
    successor text,
    CONSTRAINT used_with_successor CHECK ((used_at IS NULL) = (successor IS NULL))
);

CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family);

COMMENT ON COLUMN accounts.email IS 'lower case: addresses are compared without regard to case';
COMMENT ON COLUMN accounts.password_hash IS 'bcrypt';
COMMENT ON COLUMN families.expires_at IS 'when its newest refresh token expires; the row may go then';
COMMENT ON COLUMN refresh_tokens.issued_at IS 'whole seconds: the claim iat of the pair';
COMMENT ON COLUMN refresh_tokens.successor IS 'the jti of the token that using this one yielded';
