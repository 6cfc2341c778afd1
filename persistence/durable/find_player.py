"""Whom an operator means: by id, by e-mail, or by the public name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from game.session import UserId
from persistence.durable.translated import translated

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from persistence.durable.pool import Pool

_LAST_ID: Final = 2**63 - 1
_ACQUIRE_TIMEOUT_S: Final = 5.0
_ONE: Final = """
SELECT id, coalesce(email, '') AS email, coalesce(display_name, '') AS name, created_at
FROM accounts WHERE id = $1
"""
_COLUMNS: Final = "SELECT id, coalesce(email, '') AS email, coalesce(display_name, '') AS name FROM accounts"
_BY_ID: Final = f"{_COLUMNS} WHERE id = $1"
_BY_EMAIL: Final = f"{_COLUMNS} WHERE email = $1"
_BY_NAME: Final = f"{_COLUMNS} WHERE name_key = name_key($1)"


_LIST: Final = """
SELECT id, coalesce(email, '') AS email, coalesce(display_name, '') AS name, created_at
FROM accounts WHERE {} ORDER BY {} LIMIT $3
"""
_EMAILS: Final = _LIST.format("email ~>=~ $1 AND email ~<~ $2", "email USING ~<~")
_NAMES: Final = _LIST.format(
    "name_key ~>=~ name_key($1) AND name_key ~<~ (name_key($1) || $2)", "name_key USING ~<~"
)
_LAST: Final = chr(0x10FFFF)
"""Behind every character: what begins with a text sorts before the text with this behind it."""


class Listed(NamedTuple):
    """An account in a list; `email` and `name` are empty where there is none."""

    user_id: UserId
    email: str
    name: str
    opened_at: datetime


class Found(NamedTuple):
    """A player's account; `email` and `name` are empty where there is none."""

    user_id: UserId
    email: str
    name: str


async def search_players(pool: Pool, text: str, at_most: int) -> list[Listed]:
    """List accounts whose e-mail or name begins with a text, in any case, or whose id it is.

    Each part is read from an index, so that the time does not grow with the players. Raises
    DurableUnavailable.
    """
    if "\0" in text or not text:
        return []
    found: dict[int, asyncpg.Record] = {}
    with translated():
        async with pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection:
            if text.isascii() and text.isdecimal() and int(text) <= _LAST_ID:
                found |= {row["id"]: row for row in await connection.fetch(_ONE, int(text))}
            emails = (text.lower(), text.lower() + _LAST)
            found |= {row["id"]: row for row in await connection.fetch(_EMAILS, *emails, at_most)}
            found |= {row["id"]: row for row in await connection.fetch(_NAMES, text, _LAST, at_most)}
    listed = [
        Listed(UserId(row["id"]), row["email"], row["name"], row["created_at"]) for row in found.values()
    ]
    return listed[:at_most]


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
