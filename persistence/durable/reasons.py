"""Why PostgreSQL does not serve us, in plain words that show no address, and whether waiting can help."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator

TRANSACTION_POOLING: Final = (
    "a pooler (PgBouncer) in transaction or statement mode is in between, which mixes up the state of "
    "connections: give it pool_mode = session for this database, or name PostgreSQL itself"
)
_NO_RIGHT: Final = (
    "its user has no right to create and change the tables of the game: make it the owner of the database "
    "(ALTER DATABASE name OWNER TO user)"
)
ENVIRONMENT: Final = (
    "a variable PG… of the environment makes no sense: correct or unset PGPORT, PGSSLMODE and others"
)
_NOT_PEM: Final = (
    "the files that sslrootcert, sslcert or sslkey name hold no fitting certificate or key in PEM form: "
    "correct their paths"
)
_NOT_THERE: Final = (
    "what answers there speaks no TLS, or is not PostgreSQL: leave sslmode out, or correct host and port"
)
_NO_AUTHORITY: Final = (
    "this sslmode needs the certificate of an authority: name its file, as in &sslrootcert=/path/of/ca.pem"
)
READ_ONLY: Final = "it is read-only: a standby, or a server that takes no writes"
# By SQLSTATE: what waiting does not help, and what to do.
_REFUSALS: Final = {
    "28P01": "PostgreSQL knows no such user with this password: correct user:password before the host",
    "28000": (
        "PostgreSQL does not let this user in from here: correct the user, ask for TLS with "
        "?sslmode=require, or add a line to its pg_hba.conf"
    ),
    "3D000": "PostgreSQL has no database of this name: create it, or correct the name after the host",
    "42501": _NO_RIGHT,
    "3F000": _NO_RIGHT,
    "26000": TRANSACTION_POOLING,
    "42P05": TRANSACTION_POOLING,
}
_TROUBLES: Final = {
    "57P03": "it is starting, or shutting down",
    "53300": "it has its maximum of connections (max_connections)",
    "25006": READ_ONLY,
}
# What asyncpg, or a pooler under a general SQLSTATE, says in words alone.
_REFUSED_IN_WORDS: Final = (
    ("no such database", _REFUSALS["3D000"]),
    ("no such user", _REFUSALS["28P01"]),
    ("password authentication failed", _REFUSALS["28P01"]),
    ("SASL authentication failed", _REFUSALS["28P01"]),
    ("statement pooling mode", TRANSACTION_POOLING),
    (
        "unsupported startup parameter",
        "PgBouncer does not take the option options: leave it out of the address",
    ),
    ("rejected SSL upgrade", _NOT_THERE),
    ("root certificate file", _NO_AUTHORITY),
)
_BAD_FILES: Final = ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB", "KEY_VALUES_MISMATCH")
_NO_WAY_THERE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_CERTIFICATE_EXPIRED: Final = 10
_CERTIFICATE_OF_OTHERS: Final = frozenset({62, 64})


def refusal_of(error: BaseException) -> str:
    """Say what an operator must do about an error that does not pass by itself; "" for all others."""
    for each in _chain(error):
        if isinstance(each, asyncpg.PostgresError) and each.sqlstate in _REFUSALS:
            return _REFUSALS[each.sqlstate]
        if isinstance(each, ssl.SSLCertVerificationError):
            return _of_certificate(each)
        if isinstance(each, ssl.SSLError) and each.reason in _BAD_FILES:
            return _NOT_PEM
        for found, words in _REFUSED_IN_WORDS:
            if found in str(each):
                return words
        if isinstance(each, asyncpg.ClientConfigurationError):
            return ENVIRONMENT  # the address itself was checked before
    return ""


def trouble_of(error: BaseException) -> str:
    """Say why an error that may pass by itself came about; "" where its own words must do."""
    for each in _chain(error):
        if isinstance(each, asyncpg.PostgresError) and each.sqlstate in _TROUBLES:
            return _TROUBLES[each.sqlstate]
        if isinstance(each, asyncpg.TargetServerAttributeNotMatched):
            return READ_ONLY
        if isinstance(each, socket.gaierror):
            return "its host name is not known (DNS)"
        if isinstance(each, ConnectionRefusedError):
            return "nothing listens there (connection refused)"
        if isinstance(each, FileNotFoundError):
            return "there is no such socket"
        if isinstance(each, OSError) and each.errno in _NO_WAY_THERE:
            return "no network leads there from this machine"
        if isinstance(each, TimeoutError):
            return "no answer in time"
    return ""


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _CERTIFICATE_EXPIRED:
        return "the certificate of PostgreSQL has expired: renew it"
    if error.verify_code in _CERTIFICATE_OF_OTHERS:
        return (
            "the certificate of PostgreSQL is for another host name: use that name, or renew the certificate"
        )
    return (
        "the certificate of PostgreSQL is not trusted: name the file of its authority, as in "
        "?sslmode=verify-full&sslrootcert=/path/of/ca.pem"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
