"""What one connection may do now: whose it is, how long its token holds. Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from game.session import UserId

MAX_INVALID_IN_A_ROW: Final = 20


class Verdict(Enum):
    """What a token means for this connection."""

    KNOWN = "the token checked before, not expired"
    MISSING = "no token"
    INVALID = "expired since it was checked, or revoked"
    UNKNOWN = "another text than the one checked before: check it"


class PushState:
    """What a push looks at of a connection: in front of all else, so that it is one piece of memory."""

    __slots__ = ("connection", "joined", "version")


class Conversation(PushState):
    """The part of a connection's state that decides what its next message may do.

    `token`, `family`, `user_id` and `expires_at_s` are those of the last token that was found good; one that
    was refused leaves nothing behind. `checking` is the family of a token that is being checked, "" when it
    turned out to be revoked or none is. `knows_more`: it sent `client` or a request type that the original
    system did not have, so it is sent pushes of kinds that that one did not have.
    """

    __slots__ = (
        "checking",
        "expires_at_s",
        "family",
        "has_shown_token",
        "invalid_in_a_row",
        "knows_more",
        "revoked",
        "token",
        "user_id",
    )

    def __init__(self) -> None:
        self.token = ""
        self.expires_at_s = 0.0
        self.user_id: UserId | None = None
        self.family = ""
        self.checking = ""
        self.has_shown_token = False
        self.joined = False
        self.knows_more = False
        self.revoked = False
        self.invalid_in_a_row = 0

    def check_token(self, token: str, now_s: float) -> Verdict:
        """Compare a message's token with the one that was checked last; cheap, for each message."""
        if token == self.token and token:
            return Verdict.KNOWN if now_s < self.expires_at_s and not self.revoked else Verdict.INVALID
        return Verdict.UNKNOWN if token else Verdict.MISSING

    def is_of_another(self, user_id: UserId) -> bool:
        """Say whether the connection is another user's already."""
        return self.user_id is not None and self.user_id != user_id

    def bind(self, token: str, user_id: UserId, family: str, expires_at_s: float) -> None:
        """Take a token that was found good: signed, not another user's, its family not revoked."""
        self.user_id = user_id
        self.token, self.family, self.expires_at_s = token, family, expires_at_s

    def count_invalid(self) -> bool:
        """Count one invalid message; True when that was one too many in a row."""
        self.invalid_in_a_row += 1
        return self.invalid_in_a_row >= MAX_INVALID_IN_A_ROW
