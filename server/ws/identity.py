"""Whose token is it: the check that a connection's first, and each new, token goes through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from game.session import UserId
    from server.auth.tokens import AccessClaims

Verify = Callable[[str], "AccessClaims"]
IsRevoked = Callable[["UserId", str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Checks access tokens: their signature and claims by `verify`, their family's revocation in Redis.

    `verify` raises TokenInvalid: answer `token invalid`. `is_revoked` raises LiveUnavailable when Redis
    can't be asked; ask it after the connection hears its player's channel.
    """

    verify: Verify
    is_revoked: IsRevoked
