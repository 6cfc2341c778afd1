"""The close codes that a client may see: RFC 6455's and our own."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection was closed; the values are part of the wire contract."""

    NORMAL = 1000
    GOING_AWAY = 1001
    """The server is draining: clients reconnect."""
    PROTOCOL_ERROR = 1002
    BINARY = 1003
    ABNORMAL = 1006
    """Never sent: the connection broke without a close frame."""
    NOT_UTF8 = 1007
    POLICY = 1008
    """No token within 10 s, too many broken messages in a row, or a flood of pings."""
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TOO_BUSY = 1013
    """Past a limit on connections: clients come back later."""
    SLOW_READER = 4000
    REVOKED = 4001
    """The log-in behind the connection was revoked: clients log in again."""
    TOO_MANY_CONNECTIONS = 4002
    """The player has too many connections; this one was the newest."""
