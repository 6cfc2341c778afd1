"""From a script's reply, or the words of a publication, to the `data` of a response. Pure.

Values come as integers or decimal texts (bytes) and stay exact: fixed-point amounts are shifted as integers,
not through a float. The shapes of replies are in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from game.achievements import ACHIEVEMENTS, Achievement
from game.catalogue import Catalogue, Upgrade, UpgradeType
from server.protocol.messages import PUSH, response

Value = int | bytes
Values = Sequence[Any]
"""What follows the status (or kind) of a reply (or publication): `version` first."""

_EXACT_TO: Final = 2**53


def number(value: Value) -> int | str:
    """Give a whole amount as what a formatted string writes as a JSON number."""
    # %.17g writes 1e+300, which is a JSON number; "inf" and "nan" can't occur: amounts saturate.
    return value.decode() if isinstance(value, bytes) else value


def shifted(value: Value, scale: int) -> int | str:
    """Give a fixed-point amount, `value / scale`, as what a formatted string writes as a JSON number.

    `scale` is a power of ten.
    """
    if value.__class__ is int and not value % scale:
        return value // scale
    if value.__class__ is not int:
        text = value.decode() if isinstance(value, bytes) else str(value)
        if not text.isdigit():
            return repr(float(text) / scale).replace("inf", "1e300")
        value = int(text)
    whole, part = divmod(int(value), scale)
    if not part:
        return str(whole)
    if whole >= _EXACT_TO:
        return repr(int(value) / scale)
    return f"{whole}.{part:0{len(str(scale)) - 1}d}".rstrip("0")


def cook(values: Values, _catalogue: Catalogue) -> str:
    """Write the data of `cook` without braces: version, dishes, xp, applied."""
    version, dishes, xp, applied = values
    return (
        f'"dishes":{number(dishes)},"xp":{shifted(xp, 100)},'
        f'"applied":{number(applied)},"version":{number(version)}'
    )


def sell(values: Values, _catalogue: Catalogue) -> str:
    """Write the data of `sell`: version, dishes, money, xp, applied."""
    version, dishes, money, xp, applied = values
    return (
        f'"dishes":{number(dishes)},"money":{number(money)},"xp":{shifted(xp, 100)},'
        f'"applied":{number(applied)},"version":{number(version)}'
    )


def upgrade_buy(values: Values, _catalogue: Catalogue) -> str:
    """Write the data of `upgrade_buy`: version, money, xp, id, times_bought (and the passive flag)."""
    version, money, xp, upgrade_id, times_bought = values[:5]
    return (
        f'"money":{number(money)},"xp":{shifted(xp, 100)},"id":{number(upgrade_id)},'
        f'"times_bought":{number(times_bought)},"version":{number(version)}'
    )


def level_up(values: Values, _catalogue: Catalogue) -> str:
    """Write the data of a `level_up` that raised the rank: version, rank, xp, next."""
    version, rank, xp, following = values
    more = f',"next_xp":{number(following)}' if int(following) else ""
    return f'"current_rank":{number(rank)},"current_xp":{shifted(xp, 100)}{more},"version":{number(version)}'


def level_unchanged(values: Values) -> str:
    """Write the data of a `level_up` without enough xp: version, rank, xp, …."""
    version, rank, xp = values[:3]
    return f'"current_rank":{number(rank)},"current_xp":{shifted(xp, 100)},"version":{number(version)}'


def prestige(stars: Value, boost: Value, accumulated: Value) -> str:
    """Write a prestige object."""
    return (
        f'{{"current_value":{shifted(stars, 10_000)},"current_boost_value":{shifted(boost, 10)},'
        f'"accumulated_value":{shifted(accumulated, 10_000)}}}'
    )


def session_reset(values: Values, _catalogue: Catalogue) -> str:
    """Write the data of `session_reset`: version, money, dishes, rank, xp, stars, boost, accumulated."""
    version, money, dishes, rank, xp, stars, boost, accumulated = values
    return (
        f'"message":"success","money":{number(money)},"dishes":{number(dishes)},"level_rank":{number(rank)},'
        f'"level_xp":{shifted(xp, 100)},"prestige":{prestige(stars, boost, accumulated)},'
        f'"version":{number(version)}'
    )


def passive(values: Values, _catalogue: Catalogue) -> str:
    """Write the data of `passive`: version, money, dishes, rank, xp, accumulated (and `changed`)."""
    version, money, dishes, rank, xp, accumulated = values[:6]
    return (
        f'"money":{number(money)},"dishes":{number(dishes)},"level_rank":{number(rank)},'
        f'"level_xp":{shifted(xp, 100)},'
        f'"prestige_accumulated":{shifted(accumulated, 10_000)},"version":{number(version)}'
    )


COPIES: Final[dict[str, Callable[[Values, Catalogue], str]]] = {
    "cook": cook,
    "sell": sell,
    "upgrade_buy": upgrade_buy,
    "level_up": level_up,
    "session_reset": session_reset,
    "passive": passive,
}
"""The data of each response that goes to the user's other connections too."""


def bought_counts(packed: bytes) -> dict[int, int]:
    """Read the packed `bought` field: id to times bought."""
    counts = {}
    for item in packed.split(b",") if packed else ():
        upgrade_id, _, times = item.partition(b":")
        counts[int(upgrade_id)] = int(times)
    return counts


@lru_cache(maxsize=2)
def _shelves(catalogue: Catalogue) -> tuple[tuple[int, bool, str], ...]:
    """Write the upgrades of a catalogue up to their `times_bought`: id, whether a dish, text.

    Kept for the catalogue in force: of the 25 KB of a `session` only the counts are new. Writing all of it
    took 114 µs, this 22.
    """
    return tuple(
        (
            upgrade.id,
            upgrade.upgrade_type is UpgradeType.DISH,
            orjson.dumps(_described(upgrade)).decode()[:-1] + ',"times_bought":',
        )
        for upgrade in catalogue.upgrades
    )


def _described(upgrade: Upgrade) -> dict[str, Any]:
    value = upgrade.boost.value_hundredths / 100
    return {
        "id": upgrade.id,
        "name": upgrade.name,
        "names": upgrade.names,
        "icon_name": upgrade.icon_name,
        "upgrade_type": upgrade.upgrade_type,
        "price_factor": _whole(upgrade.price_factor),
        "price": _whole(upgrade.price),
        "access_level": upgrade.access_level,
        "boost": {"id": upgrade.boost.id, "boost_type": upgrade.boost.boost_type, "value": _whole(value)},
    }


def _whole(value: float) -> int | float:
    return int(value) if value == int(value) and abs(value) <= _EXACT_TO else value


def upgrades(packed: bytes, catalogue: Catalogue) -> str:
    """Write `available` and `current`, without braces, in the catalogue's order."""
    counts = bought_counts(packed)
    available, current = [], []
    for upgrade_id, is_dish, text in _shelves(catalogue):
        times = counts.get(upgrade_id, 0)
        item = f"{text}{times}}}"
        if times:
            current.append(item)
        if not times or not is_dish:
            available.append(item)
    return f'"available":[{",".join(available)}],"current":[{",".join(current)}]'


def snapshot(user_id: int, fields: Values, catalogue: Catalogue, extra: str = "") -> str:
    """Write the data of `session`, with braces, from a snapshot; `extra` follows `saved_version`."""
    return _session(user_id, fields[:11], catalogue, extra)


def session(user_id: int, values: Values, catalogue: Catalogue, *, with_client: bool) -> str:
    """Write the data of `session`, with braces, from the script's reply after its status."""
    last_seq, seconds, money, dishes, xp, away_seconds, stars = values[11:18]
    extra = f',"last_seq":{number(last_seq)}' if with_client else ""
    if int(seconds):
        extra += (
            f',"offline":{{"seconds":{number(seconds)},"away_seconds":{number(away_seconds)},'
            f'"money":{number(money)},"dishes":{number(dishes)},"xp":{shifted(xp, 100)},'
            f'"stars":{shifted(stars, 10_000)}}}'
        )
    return _session(user_id, values[:11], catalogue, extra)


def _session(user_id: int, values: Values, catalogue: Catalogue, extra: str) -> str:
    version, saved, email, money, dishes, rank, xp, stars, boost, accumulated, bought = values
    return (
        f'{{"session":{{"user_id":{user_id},"user_email":{orjson.dumps(email.decode()).decode()},'
        f'"money":{number(money)},"dishes":{number(dishes)},'
        f'"level":{{"rank":{number(rank)},"xp":{shifted(xp, 100)}}},'
        f'"prestige":{prestige(stars, boost, accumulated)},"upgrades":{{{upgrades(bought, catalogue)}}}}},'
        f'"version":{number(version)},"saved_version":{number(saved)}{extra}}}'
    )


def achievement_push(version: int, packed: bytes, catalogue: Catalogue) -> bytes:
    """Announce newly reached achievements, given as `id,id,…`."""
    newly = _ids(packed)
    reached = [_achievement(one, catalogue.language, done=True) for one in ACHIEVEMENTS if one.id in newly]
    data = orjson.dumps({"achievements": reached, "version": version}).decode()
    return response(PUSH, "achievement", data)


def _achievement(achievement: Achievement, language: str, *, done: bool) -> dict[str, Any]:
    """Write an achievement in the server's language, with all languages beside for clients that switch."""
    item = achievement.as_json(done=done)
    titles, texts = item["title"], item["text"]
    return {**item, "title": titles[language], "text": texts[language], "titles": titles, "texts": texts}


def _achievements(fields: Sequence[Any], catalogue: Catalogue) -> str:
    reached = _ids(fields[11])
    items = [_achievement(one, catalogue.language, done=one.id in reached) for one in ACHIEVEMENTS]
    return f'{{"achievements":{orjson.dumps(items).decode()},"version":{number(fields[0])}}}'


def _ids(packed: bytes | None) -> set[int]:
    return {int(text) for text in packed.split(b",")} if packed else set()


def _upgrade_list(fields: Sequence[Any], catalogue: Catalogue) -> str:
    return f'{{{upgrades(fields[10], catalogue)},"version":{number(fields[0])}}}'


def _level_check(fields: Sequence[Any], catalogue: Catalogue) -> str:
    version, rank, xp = fields[0], int(fields[5]), fields[6]
    needed = f',"needed_xp":{catalogue.level_xp[rank + 1]}' if rank < catalogue.last_rank else ""
    return f'{{"current_rank":{rank},"current_xp":{shifted(xp, 100)}{needed},"version":{number(version)}}}'


READS: Final[dict[str, Callable[[Sequence[Any], Catalogue], str]]] = {
    "upgrade_list": _upgrade_list,
    "level_check": _level_check,
    "achievements": _achievements,
}
"""The data, with braces, of each read, from the fields of a snapshot."""
