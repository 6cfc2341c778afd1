"""Everything that is kept of one player, from PostgreSQL and Redis, as plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from persistence.durable.player_rows import LEFT_OUT, read_player
from persistence.durable.rows import fields_of_record
from persistence.live.hashes import (
    CLIENT_PREFIX,
    missing_field,
    numbers_of,
    parse_achieved,
    parse_bought,
    parse_offline,
    texts_of,
    unpacked_window,
)
from persistence.live.keys import bucket_of
from persistence.live.record import STAMP_AT, Life, Now, Rates
from persistence.live.replies.upkeep import Looked, look_reply
from persistence.live.store import expect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.session import UserId
    from persistence.durable.player_rows import PlayerRows
    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore

FORMAT: Final = 1
UNITS: Final = {
    "version": "grows with each change; at least the time in ms",
    "accrued_at": "ms of Unix time up to which passive income is paid",
    "xp": "hundredths",
    "stars": "ten-thousandths",
    "accumulated": "stars that a reset would give, ten-thousandths",
    "boost": "tenths",
    "tat": "ms of Unix time up to which clicks are used up",
    "joined_until": "ms of Unix time",
    "unsaved_since": "ms of Unix time; 0: everything is saved",
    "bought": "times bought by the number of the upgrade",
    "applied": "of the 64 numbers up to the highest: a bit for each, in hexadecimal",
}
_LIVE_ONLY: Final = ("dirty", "tat", "spare", "joined_until")
_EXACT_TO: Final = 2**53


async def export_player(pool: Pool, store: LiveStore, user_id: UserId) -> dict[str, Any] | None:
    """Return all that is kept of a player; None where there is no such account.

    `live` is the session as Redis has it, `saved` as PostgreSQL has it: the higher version is the newer. Both
    are read one after the other while the player may play on. Raises StorageUnavailable: ask again.
    """
    rows = await read_player(pool, user_id)
    if rows is None:
        return None
    return {
        "format": FORMAT,
        "exported_at": datetime.now(UTC),
        "account": {**rows.account, "guest": rows.account["email"] is None},
        "live": await _live(store, user_id),
        "saved": _saved(rows),
        "log_ins": [
            {**family, "refresh_tokens": [token for token in rows.tokens if token["family"] == family["id"]]}
            for family in rows.families
        ],
        "reset_links": rows.links,
        "leaderboard": [{name: _plain(value) for name, value in row.items()} for row in rows.places],
        "operator_log": [
            {name: _plain(value) for name, value in row.items() if name != "operator"} for row in rows.changes
        ],
        "suspensions": rows.suspensions,
        "units": UNITS,
        "left_out": LEFT_OUT,
    }


async def _live(store: LiveStore, user_id: UserId) -> dict[str, Any] | None:
    bucket = bucket_of(user_id)
    look = store.script("look", bucket, (store.keys.session(user_id), store.keys.dirty(bucket)), (user_id,))
    [reply] = await store.run([look])
    looked = look_reply(expect(reply, list))
    if not isinstance(looked, Looked):
        return {"unreadable": looked.reason.decode(errors="replace")}
    if not looked.hash:
        return None
    return {**_shown(looked.hash), "unsaved_since": int(float(looked.mark or 0))}


def _saved(rows: PlayerRows) -> dict[str, Any] | None:
    if rows.session["version"] is None:
        return None
    words = iter(fields_of_record(rows.session))
    shown = _shown(dict(zip(words, words, strict=True)))
    for name in _LIVE_ONLY:
        shown.pop(name, None)
    return {**shown, "updated_at": rows.updated_at}


def _shown(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Name what a session's hash holds; a hash that cannot be read is shown with the reason, as it is."""
    try:
        numbers = numbers_of(fields)
        bought, achieved, email = texts_of(fields)
        offline = fields.get(b"offline")
        return {
            **{name: _plain(numbers[name]) for name in (*Now._fields, *Life._fields)},
            "bought": {str(upgrade): times for upgrade, times in parse_bought(bought.decode()).items()},
            "achieved": parse_achieved(achieved.decode()),
            "email": email.decode(),
            "offline": None if offline is None else _plain_all(asdict(parse_offline(offline.decode()))),
            "clients": {
                name[len(CLIENT_PREFIX) :].decode(): _window(value)
                for name, value in fields.items()
                if name.startswith(CLIENT_PREFIX)
            },
            "rates": {name: _plain(numbers[name]) for name in Rates._fields if name in numbers},
            "rates_hold_under": fields.get(b"rates", b"")[STAMP_AT:].decode(),
        }
    except KeyError as error:
        reason = missing_field(error)
    except ValueError as error:
        reason = str(error)
    return {
        "unreadable": reason,
        "fields": {name.decode(errors="replace"): value.hex() for name, value in fields.items()},
    }


def _window(packed: bytes) -> dict[str, Any]:
    window = unpacked_window(packed)
    return {
        "highest": window.highest,
        "applied": f"{window.applied:016x}",
        "used_version": window.used_version,
    }


def _plain_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Write a whole double as an integer, as JSON on the wire has it."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_TO:
        return int(value)
    return value
