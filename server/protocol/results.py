"""From a script's reply, or a publication, to the `data` of a response. Pure.

Amounts come as integers or decimal texts (bytes) and stay exact: fixed-point amounts are shifted as integers,
not through a float. What a reply holds is said in `persistence.live.replies.play`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from game.achievements import ACHIEVEMENTS, Achievement
from game.catalogue import Catalogue, Upgrade, UpgradeType
from persistence.live.replies.play import (
    Accrued,
    Bought,
    Cooked,
    GoldenGuest,
    Income,
    RankRaised,
    Reset,
    Sold,
)
from server.protocol.messages import PUSH, response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persistence.live.replies.play import Amount, Change, RankUnchanged, SessionShown
    from persistence.live.snapshots import Snapshot

_EXACT_TO: Final = 2**53
_QUOTIENTS_TO: Final = 1e14
"""Below this a quotient of a double by a scale is written with the digits that the amount has."""

_HUNDREDTHS: Final = tuple(f".{part:02d}".rstrip("0").rstrip(".") for part in range(100))
_HUNDREDTHS_BYTES: Final = tuple(part.encode() for part in _HUNDREDTHS)
_HUNDREDTHS_TO: Final = 100 * _EXACT_TO
_COMPUTED: Final = (
    f'{{"message_type":"response","request_id":{PUSH},"request_type":"passive","data":{{"money":%d,"dishes":%d,'
    '"level_rank":%d,"level_xp":%d%b,"prestige_accumulated":%d%b,"version":%d}}'
).encode()
"""A push of `passive`. Bytes are formatted faster than text that is encoded then."""


def number(value: Amount) -> int | str:
    """Give a whole amount as what a formatted string writes as a JSON number."""
    # %.17g writes 1e+300, which is a JSON number; "inf" and "nan" can't occur: amounts saturate.
    return value.decode() if isinstance(value, bytes) else value


def shifted(value: Amount, scale: int) -> int | str:
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


def cook_answer(request_id_json: str, version: int, dishes: Amount, xp: Amount, applied: Amount) -> bytes:
    """Write the whole answer to a `cook`. Hot: the usual amounts are written in one piece, without calls."""
    if xp.__class__ is int and xp < _HUNDREDTHS_TO and dishes.__class__ is int and applied.__class__ is int:
        return (
            f'{{"message_type":"response","request_id":{request_id_json},"request_type":"cook","data":{{'
            f'"dishes":{dishes},"xp":{xp // 100}{_HUNDREDTHS[xp % 100]},'
            f'"applied":{applied},"version":{version}}}}}'
        ).encode()
    data = _cook(Cooked(b"", version, dishes, xp, applied))
    return response(request_id_json, "cook", f"{{{data}}}")


def sell_answer(  # noqa: PLR0917 - by position, as it is hot
    request_id_json: str, version: int, dishes: Amount, money: Amount, xp: Amount, applied: Amount
) -> bytes:
    """Write the whole answer to a `sell`. Hot, as `cook_answer`."""
    if (
        xp.__class__ is int
        and xp < _HUNDREDTHS_TO
        and dishes.__class__ is int
        and money.__class__ is int
        and applied.__class__ is int
    ):
        return (
            f'{{"message_type":"response","request_id":{request_id_json},"request_type":"sell","data":{{'
            f'"dishes":{dishes},"money":{money},"xp":{xp // 100}{_HUNDREDTHS[xp % 100]},'
            f'"applied":{applied},"version":{version}}}}}'
        ).encode()
    data = _sell(Sold(b"", version, dishes, money, xp, applied))
    return response(request_id_json, "sell", f"{{{data}}}")


def _cook(cooked: Cooked) -> str:
    return (
        f'"dishes":{number(cooked.dishes)},"xp":{shifted(cooked.xp, 100)},'
        f'"applied":{number(cooked.applied)},"version":{number(cooked.version)}'
    )


def _sell(sold: Sold) -> str:
    return (
        f'"dishes":{number(sold.dishes)},"money":{number(sold.money)},"xp":{shifted(sold.xp, 100)},'
        f'"applied":{number(sold.applied)},"version":{number(sold.version)}'
    )


def _upgrade_buy(bought: Bought) -> str:
    return (
        f'"money":{number(bought.money)},"xp":{shifted(bought.xp, 100)},"id":{number(bought.id)},'
        f'"times_bought":{number(bought.times_bought)},"applied":{number(bought.applied)},'
        f'"version":{number(bought.version)}'
    )


def _level_up(raised: RankRaised) -> str:
    more = f',"next_xp":{number(raised.next)}' if int(raised.next) else ""
    return _rank(raised.rank, raised.xp, raised.version, more)


def rank_unchanged(unchanged: RankUnchanged) -> str:
    """Write the data of a `level_up` without enough xp, without braces."""
    return _rank(unchanged.rank, unchanged.xp, unchanged.version)


def _rank(rank: Amount, xp: Amount, version: int, more: str = "") -> str:
    return f'"current_rank":{number(rank)},"current_xp":{shifted(xp, 100)}{more},"version":{number(version)}'


def prestige(stars: Amount, boost: Amount, accumulated: Amount) -> str:
    """Write a prestige object."""
    return (
        f'{{"current_value":{shifted(stars, 10_000)},"current_boost_value":{shifted(boost, 10)},'
        f'"accumulated_value":{shifted(accumulated, 10_000)}}}'
    )


def _session_reset(reset: Reset) -> str:
    return (
        f'"message":"success","money":{number(reset.money)},"dishes":{number(reset.dishes)},'
        f'"level_rank":{number(reset.rank)},"level_xp":{shifted(reset.xp, 100)},'
        f'"prestige":{prestige(reset.stars, reset.boost, reset.accumulated)},'
        f'"version":{number(reset.version)}'
    )


def _golden_guest(reply: GoldenGuest) -> str:
    return (
        f'{_passive(reply)},"gain":{number(reply.gain)},"guest":{{"id":{reply.id},'
        f'"comes_in_ms":{reply.comes_in_ms},"leaves_in_ms":{reply.leaves_in_ms}}}'
    )


def _passive(income: Income | Accrued | GoldenGuest) -> str:
    return (
        f'"money":{number(income.money)},"dishes":{number(income.dishes)},'
        f'"level_rank":{number(income.rank)},"level_xp":{shifted(income.xp, 100)},'
        f'"prestige_accumulated":{shifted(income.accumulated, 10_000)},"version":{number(income.version)}'
    )


def computed(version: int, rank: int, amounts: tuple[float, float, float, float]) -> bytes:
    """Write a push of `passive` from computed amounts: money, dishes, xp, accumulated; ints below 2^53.

    Hot: in one piece.
    """
    money, dishes, xp, accumulated = amounts
    if accumulated < _QUOTIENTS_TO and isinstance(xp, int) and isinstance(accumulated, int):
        cents, stars = _HUNDREDTHS_BYTES[xp % 100], accumulated // 10_000
        part = accumulated % 10_000
        rest = _ten_thousandths(part) if part else b""
        return _COMPUTED % (money, dishes, rank, xp // 100, cents, stars, rest, version)
    found = Income(b"", version, _amount(money), _amount(dishes), rank, _amount(xp), _amount(accumulated))
    return response(PUSH, "passive", f"{{{_passive(found)}}}")


@lru_cache(maxsize=10_000)
def _ten_thousandths(part: int) -> bytes:
    return f".{part:04d}".rstrip("0").encode()


def _amount(amount: float) -> Amount:
    return int(amount) if amount < _EXACT_TO else b"%.17g" % amount


_WRITERS: Final[Mapping[type[Change], Callable[[Any], str]]] = {
    Cooked: _cook,
    Sold: _sell,
    Bought: _upgrade_buy,
    RankRaised: _level_up,
    Reset: _session_reset,
    Income: _passive,
    Accrued: _passive,
    GoldenGuest: _golden_guest,
}


def written(change: Change) -> str:
    """Write the data, without braces, of a response that goes to the user's other connections too."""
    return _WRITERS[change.__class__](change)


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


def snapshot(user_id: int, read: Snapshot, catalogue: Catalogue) -> str:
    """Write the data of `session`, with braces, from a snapshot."""
    return _session(user_id, read, catalogue, "")


def session(user_id: int, shown: SessionShown, catalogue: Catalogue, *, with_client: bool) -> str:
    """Write the data of `session`, with braces, from the script's reply."""
    extra = f',"last_seq":{number(shown.last_seq)}' if with_client else ""
    if int(shown.off_seconds):
        extra += (
            f',"offline":{{"seconds":{number(shown.off_seconds)},'
            f'"away_seconds":{number(shown.off_away_seconds)},"money":{number(shown.off_money)},'
            f'"dishes":{number(shown.off_dishes)},"xp":{shifted(shown.off_xp, 100)},'
            f'"stars":{shifted(shown.off_stars, 10_000)}}}'
        )
    return _session(user_id, shown, catalogue, extra)


def _session(user_id: int, read: Snapshot | SessionShown, catalogue: Catalogue, extra: str) -> str:
    """Write the data of `session`; `extra` follows `saved_version`."""
    # A release that knows no guests writes another word in place of no e-mail.
    email = orjson.dumps(read.email.decode()).decode() if b"@" in read.email else '""'
    return (
        f'{{"session":{{"user_id":{user_id},"user_email":{email},'
        f'"money":{number(read.money)},"dishes":{number(read.dishes)},'
        f'"level":{{"rank":{number(read.rank)},"xp":{shifted(read.xp, 100)}}},'
        f'"prestige":{prestige(read.stars, read.boost, read.accumulated)},'
        f'"upgrades":{{{upgrades(read.bought, catalogue)}}}}},'
        f'"version":{number(read.version)},"saved_version":{number(read.saved)}{extra}}}'
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


def _achievements(read: Snapshot, catalogue: Catalogue) -> str:
    reached = _ids(read.achieved)
    items = [_achievement(one, catalogue.language, done=one.id in reached) for one in ACHIEVEMENTS]
    statistics = (
        f'{{"clicks":{number(read.clicks)},"cooked":{number(read.cooked)},"earned":{number(read.earned)},'
        f'"purchases":{number(read.purchases)},"resets":{number(read.resets)}}}'
    )
    return (
        f'{{"achievements":{orjson.dumps(items).decode()},"statistics":{statistics},'
        f'"version":{number(read.version)}}}'
    )


def _ids(packed: bytes | None) -> set[int]:
    return {int(text) for text in packed.split(b",")} if packed else set()


def _upgrade_list(read: Snapshot, catalogue: Catalogue) -> str:
    return f'{{{upgrades(read.bought, catalogue)},"version":{number(read.version)}}}'


def _level_check(read: Snapshot, catalogue: Catalogue) -> str:
    rank = int(read.rank)
    needed = f',"needed_xp":{catalogue.level_xp[rank + 1]}' if rank < catalogue.last_rank else ""
    return (
        f'{{"current_rank":{rank},"current_xp":{shifted(read.xp, 100)}{needed},'
        f'"saved_version":{number(read.saved)},"version":{number(read.version)}}}'
    )


READS: Final[Mapping[str, Callable[[Snapshot, Catalogue], str]]] = {
    "upgrade_list": _upgrade_list,
    "level_check": _level_check,
    "achievements": _achievements,
}
"""The data, with braces, of each read."""
