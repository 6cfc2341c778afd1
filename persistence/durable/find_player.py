"""Whom an operator means: by id, by e-mail, or by the public name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from game.session import UserId
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from persistence.durable.pool import Pool

_LAST_ID: Final = 2**63 - 1
_COLUMNS: Final = "SELECT id, coalesce(email, '') AS email, coalesce(display_name, '') AS name FROM accounts"
_BY_ID: Final = f"{_COLUMNS} WHERE id = $1"
_BY_EMAIL: Final = f"{_COLUMNS} WHERE email = $1"
_BY_NAME: Final = f"{_COLUMNS} WHERE name_key = name_key($1)"


class Found(NamedTuple):
    """A player's account; `email` and `name` are empty where there is none."""

    user_id: UserId
    email: str
    name: str


async def find_player(pool: Pool, who: str) -> Found | None:
    """Find an account: digits are an id, what has an @ is an e-mail, all else a name, in any case.

    Raises DurableUnavailable.
    """
    if "\0" in who:
        return None
    with translated():
        if who.isascii() and who.isdecimal():
            row = await pool.fetchrow(_BY_ID, int(who)) if int(who) <= _LAST_ID else None
        elif "@" in who:
            row = await pool.fetchrow(_BY_EMAIL, who.lower())
        else:
            row = await pool.fetchrow(_BY_NAME, who)
    return None if row is None else Found(UserId(row["id"]), row["email"], row["name"])
