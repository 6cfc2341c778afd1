"""From an upgraded HTTP connection to a WebSocket of the game, or to a polite refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.protocol.close_codes import CloseCode
from server.ws.connection import Connection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from websockets.http11 import Request

    from runtime.turns import Turns
    from server.ws.dispatch import Dispatch
    from server.ws.limits import ConnectionLimits
    from server.ws.sweeper import Sweeper


class Gateway:
    """Takes over transports whose request asks for /ws; the origin was judged before."""

    def __init__(self, dispatch: Dispatch, limits: ConnectionLimits, sweeper: Sweeper, turns: Turns) -> None:
        self._dispatch = dispatch
        self._turns = turns
        self._limits = limits
        self._sweeper = sweeper

    def open(
        self,
        transport: asyncio.Transport,
        request: Request,
        trailing: bytes,
        *,
        on_lost: Callable[[], None],
    ) -> None:
        """Let a connection play; `on_lost` is called once when it is gone."""
        connection = Connection.accept(
            transport,
            request,
            trailing,
            origins=None,
            receiver=self._dispatch,
            limits=self._limits,
            sweeper=self._sweeper,
            turns=self._turns,
        )
        if connection is None:
            on_lost()
        else:
            self._dispatch.opened(connection, on_lost)

    def turn_away(
        self, transport: asyncio.Transport, request: Request, trailing: bytes, *, on_lost: Callable[[], None]
    ) -> None:
        """Accept and close with 1013; `on_lost` is called once when the connection is gone."""
        connection = Connection.accept(
            transport,
            request,
            trailing,
            origins=None,
            receiver=_IgnoringReceiver(on_lost),
            limits=self._limits,
            sweeper=self._sweeper,
            turns=self._turns,
        )
        if connection is None:
            on_lost()
        else:
            connection.close(CloseCode.TOO_BUSY, "too many connections")


class _IgnoringReceiver:
    """Receives for a connection that is turned away."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost

    def message_received(self, connection: Connection, payload: bytes) -> None:
        """Ignore what came before the close was read."""

    def connection_closed(self, connection: Connection) -> None:  # noqa: ARG002 - there is only one
        self._on_lost()
