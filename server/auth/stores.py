"""What the account service asks of its stores; `persistence` has classes of these shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from game.session import UserId


class Account(Protocol):
    """One account: its e-mail address in lower case, its password's hash; a guest has "" and None."""

    @property
    def user_id(self) -> UserId:
        """The user's id."""

    @property
    def email(self) -> str:
        """In lower case."""

    @property
    def password_hash(self) -> str | None:
        """As bcrypt writes it."""

    @property
    def is_guest(self) -> bool:
        """Whether nobody has claimed it yet."""


class Registered(Protocol):
    """A new account and the `iat` of its first pair of tokens."""

    @property
    def user_id(self) -> UserId:
        """The new user's id."""

    @property
    def issued_at_s(self) -> int:
        """Unix time."""


class BegunAnew(Protocol):
    """The `iat` of the first pair of a family, and the families that ended in its favour."""

    @property
    def issued_at_s(self) -> int:
        """Unix time."""

    @property
    def revoked(self) -> tuple[str, ...]:
        """All that were live until then."""


class Rotation(Protocol):
    """What became of a refresh token that was shown."""

    @property
    def issued(self) -> bool:
        """Whether there is a successor."""

    @property
    def stolen(self) -> bool:
        """Whether its family was revoked just now, because the token had been used."""

    @property
    def jti(self) -> str:
        """The successor's."""

    @property
    def issued_at_s(self) -> int:
        """The successor's `iat`, Unix time."""


class RevokedFamily(Protocol):
    """A family whose tokens must not be accepted."""

    @property
    def user_id(self) -> UserId:
        """Whose it is."""

    @property
    def family(self) -> str:
        """Its id."""


class Suspension(Protocol):
    """Until when a player may not play, and why."""

    @property
    def ends_at(self) -> datetime | None:
        """None: no end is set."""

    @property
    def because(self) -> str:
        """The reason that the player reads."""


class AccountStore(Protocol):
    """Keeps accounts; see persistence.durable.account_table for what each method promises."""

    async def find(self, email: str) -> Account | None:
        """Look an account up by its address."""

    async def get(self, user_id: UserId) -> Account | None:
        """Look an account up by its id."""

    async def suspension(self, user_id: UserId) -> Suspension | None:
        """Return a player's suspension; None where the player may play."""

    async def register(self, email: str, password_hash: str, family: str, jti: str) -> Registered | None:
        """Add an account with a family; None when the address is taken."""

    async def log_in(self, user_id: UserId, password_hash: str, family: str, jti: str) -> int | None:
        """Begin a family; None when the password changed."""

    async def rehash(self, user_id: UserId, password_hash: str, new_hash: str) -> bool:
        """Replace the hash of an unchanged password."""

    async def change_password(
        self, user_id: UserId, password_hash: str, *, asking: str, new_hash: str, family: str, jti: str
    ) -> BegunAnew | None:
        """Change a password and begin another family; None when either is not what it was."""

    async def emails_changed(self, within_s: int) -> Sequence[tuple[UserId, str]]:
        """Return whose e-mail changed in the last `within_s`, with the present one."""

    async def delete(
        self, user_id: UserId, password_hash: str | None, *, asking: str | None = None
    ) -> tuple[str, ...] | None:
        """Delete an account; returns the families that ended, None when password or family are no more."""


class FamilyStore(Protocol):
    """Keeps families of tokens; see persistence.durable.token_families."""

    async def rotate(self, user_id: UserId, family: str, jti: str, next_jti: str) -> Rotation:
        """Use a refresh token."""

    async def revoke(self, user_id: UserId, family: str) -> bool:
        """End a family; False when it has ended before."""

    async def revoke_all_of(self, user_id: UserId, family: str) -> Sequence[str] | None:
        """End all families of a user; returns them, None where this one has ended before."""

    async def revoked_lately(self, within_s: int) -> Sequence[RevokedFamily]:
        """Return the families that ended in the last `within_s`."""


class RevocationMarks(Protocol):
    """Tells every process which families ended; see persistence.live.revocations."""

    async def revoke(self, user_id: UserId, families: Sequence[str], *, everything: bool = False) -> None:
        """Refuse families from now on and close their connections."""

    async def is_revoked(self, user_id: UserId, family: str) -> bool:
        """Say whether a family ended."""

    async def put_back(self, revoked: Iterable[tuple[UserId, str]]) -> int:
        """Mark families again that may have been lost."""
