"""Connections that have not shown a token yet: how long each has for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from server.protocol.close_codes import CloseCode
from server.ws.dispatch import Dispatch

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from server.ws.connection import Connection

REQUEST: Final = b'{"message_type":"request","request_id":"1","request_type":"session","data":{"token":"t"}}'


class _Connection:
    """Keeps what it was closed with."""

    def __init__(self) -> None:
        self.state: Any = None
        self.closed: list[tuple[CloseCode, str]] = []

    def close(self, code: CloseCode, reason: str) -> None:
        """Note the code and the reason."""
        self.closed.append((code, reason))


async def test_a_token_that_waits_for_the_server_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sent nothing is closed; not one whose token waits for its turn, until then."""
    monkeypatch.setattr("server.ws.dispatch.FIRST_TOKEN_WITHIN_S", 0.0)
    waiting: list[Callable[[], None]] = []

    dispatch = Dispatch(
        cast("Any", None),
        cast("Any", None),
        cast("Any", None),
        cast("Any", None),
        turns=cast("Any", SimpleNamespace(add=waiting.append)),
        max_count=1,
    )
    silent, asking = _Connection(), _Connection()
    for connection in (silent, asking):
        dispatch.opened(cast("Connection", connection), lambda: None)
    dispatch.message_received(cast("Connection", asking), REQUEST)

    dispatch.close_unauthenticated()
    assert (silent.closed, asking.closed) == ([(CloseCode.POLICY, "no token in time")], [])

    dispatch.exchanges.clear()  # what the turn begins would need a database
    (turn,) = waiting
    turn()
    dispatch.close_unauthenticated()
    assert asking.closed == [(CloseCode.POLICY, "no token in time")]
