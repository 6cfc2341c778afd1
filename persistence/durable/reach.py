"""PostgreSQL at a start: reached in a way that keeps a connection's state, or the reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persistence.durable.pool import CONNECT_TIMEOUT_S, connect
from persistence.durable.reasons import TRANSACTION_POOLING
from persistence.durable.translated import translated
from persistence.errors import DurableRefused
from persistence.named_files import unreadable
from runtime.connection_urls import parse_postgres_url

if TYPE_CHECKING:
    from persistence.durable.pool import Connection

_FILES: Final = ("passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl")
_BACKEND: Final = "SELECT pg_backend_pid()"
_ROUNDS: Final = 20
"""Where others use the pooler too, a connection may be given the same backend by chance, even some times."""


async def reach_postgres(dsn: str) -> None:
    """Return once PostgreSQL lets us in and keeps one backend for each connection.

    Raises DurableUnavailable, or DurableRefused where waiting is of no use.
    """
    if words := unreadable(parse_postgres_url(dsn).options, _FILES):
        raise DurableRefused(words)
    first = await connect(dsn, command_timeout_s=CONNECT_TIMEOUT_S)
    try:
        with translated():
            # A pooler announces a number of its own in place of the backend's.
            if await first.fetchval(_BACKEND) != first.get_server_pid() and await _is_shared(dsn, first):
                raise DurableRefused(TRANSACTION_POOLING)
    finally:
        first.terminate()


async def _is_shared(dsn: str, first: Connection) -> bool:
    """Tell whether a pooler gives the backend of an open connection to another while the first is idle.

    In session mode each has its own. Else the second, in a transaction, has the first's backend, or has
    taken the first's place, so that its next statement goes elsewhere.
    """
    second = await connect(dsn, command_timeout_s=CONNECT_TIMEOUT_S)
    try:
        for _ in range(_ROUNDS):
            before = await first.fetchval(_BACKEND)
            await second.execute("BEGIN")
            others = await second.fetchval(_BACKEND)
            after = await first.fetchval(_BACKEND)
            await second.execute("ROLLBACK")
            if others == before or after != before:
                return True
        return False
    finally:
        second.terminate()
