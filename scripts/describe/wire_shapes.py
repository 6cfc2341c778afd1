"""The shapes of what the server sends on `/ws`, as JSON schemas: the data of each response and push. Pure.

A response may carry more than is named here, never less.
"""

from __future__ import annotations

from typing import Final

from game.achievements import Counter
from game.catalogue import BoostType, UpgradeType

Schema = dict[str, object]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
AMOUNT: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1e300}
VERSION: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "description": "Grows with each change of the player's state; never goes backwards on a connection.",
}
RANK: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 100}


def shape(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """Make the schema of an object from its required and optional properties."""
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def one_of(values: type[UpgradeType | BoostType | Counter]) -> Schema:
    """Make the schema of a text that is one of an enum's."""
    return {"type": "string", "enum": [value.value for value in values]}


def named(name: str) -> Schema:
    """Refer to one of NAMED."""
    return {"$ref": f"#/components/schemas/{name}"}


def some(item: Schema) -> Schema:
    """Make the schema of a list."""
    return {"type": "array", "items": item}


_BOTH: Final = shape({"ru": TEXT, "en": TEXT})
_OR_NULL: Final[Schema] = {"anyOf": [TEXT, {"type": "null"}]}
_PLACE: Final[Schema] = {"type": "integer", "minimum": 1}

NAMED: Final[dict[str, Schema]] = {
    "Upgrade": shape(
        {
            "id": WHOLE,
            "name": TEXT,
            "names": _BOTH,
            "icon_name": TEXT,
            "upgrade_type": one_of(UpgradeType),
            "price_factor": AMOUNT,
            "price": AMOUNT,
            "access_level": RANK,
            "boost": shape({"id": WHOLE, "boost_type": one_of(BoostType), "value": AMOUNT}),
            "times_bought": WHOLE,
        }
    ),
    "Prestige": shape({"current_value": AMOUNT, "current_boost_value": AMOUNT, "accumulated_value": AMOUNT}),
    "Session": shape(
        {
            "user_id": WHOLE,
            "user_email": TEXT,
            "money": AMOUNT,
            "dishes": AMOUNT,
            "level": shape({"rank": RANK, "xp": AMOUNT}),
            "prestige": named("Prestige"),
            "upgrades": shape({"available": some(named("Upgrade")), "current": some(named("Upgrade"))}),
        }
    ),
    "Offline": shape(
        {
            "seconds": WHOLE,
            "away_seconds": WHOLE,
            "money": {"type": "number"},
            "dishes": {"type": "number"},
            "xp": {"type": "number"},
            "stars": {"type": "number"},
        }
    )
    | {
        "description": "Earned in gaps of 10 s or more, not shown before; net changes: dishes may be fewer. "
        "`seconds` were paid, after the cap, of `away_seconds`."
    },
    "Achievement": shape(
        {
            "id": WHOLE,
            "key": TEXT,
            "title": TEXT,
            "text": TEXT,
            "titles": _BOTH,
            "texts": _BOTH,
            "counter": one_of(Counter),
            "threshold": AMOUNT,
            "done": {"type": "boolean"},
        }
    ),
    "Statistics": shape(dict.fromkeys(("clicks", "cooked", "earned", "purchases", "resets"), AMOUNT)),
    "GoldenGuest": shape({"id": WHOLE, "comes_in_ms": WHOLE, "leaves_in_ms": WHOLE})
    | {"description": "Who waits or comes next and was not served. Here while `comes_in_ms` is 0."},
    "Entry": shape({"place": _PLACE, "name": TEXT, "value": AMOUNT}),
    "OwnEntry": shape({"place": {"anyOf": [_PLACE, {"type": "null"}]}, "name": _OR_NULL, "value": AMOUNT}),
}
"""Shapes that others refer to."""

_DUPLICATE: Final[dict[str, Schema]] = {
    "duplicate": {"const": True, "description": "The seq was applied before; this is the present state."}
}

RESPONSES: Final[dict[str, Schema]] = {
    "session": shape(
        {"session": named("Session"), "version": VERSION, "saved_version": WHOLE},
        {"last_seq": WHOLE, "offline": named("Offline")},
    ),
    "cook": shape({"dishes": AMOUNT, "xp": AMOUNT, "applied": WHOLE, "version": VERSION}, _DUPLICATE),
    "sell": shape(
        {"dishes": AMOUNT, "money": AMOUNT, "xp": AMOUNT, "applied": WHOLE, "version": VERSION}, _DUPLICATE
    ),
    "upgrade_buy": shape(
        {
            "money": AMOUNT,
            "xp": AMOUNT,
            "id": WHOLE,
            "times_bought": WHOLE,
            "applied": WHOLE,
            "version": VERSION,
        },
        _DUPLICATE,
    ),
    "upgrade_list": shape(
        {"available": some(named("Upgrade")), "current": some(named("Upgrade")), "version": VERSION}
    ),
    "level_check": shape(
        {"current_rank": RANK, "current_xp": AMOUNT, "saved_version": WHOLE, "version": VERSION},
        {"needed_xp": AMOUNT},
    ),
    "level_up": shape(
        {"current_rank": RANK, "current_xp": AMOUNT, "version": VERSION}, {"next_xp": AMOUNT} | _DUPLICATE
    ),
    "session_reset": shape(
        {
            "message": {"const": "success"},
            "money": AMOUNT,
            "dishes": AMOUNT,
            "level_rank": RANK,
            "level_xp": AMOUNT,
            "prestige": named("Prestige"),
            "version": VERSION,
        },
        _DUPLICATE,
    ),
    "passive": shape(
        {
            "money": AMOUNT,
            "dishes": AMOUNT,
            "level_rank": RANK,
            "level_xp": AMOUNT,
            "prestige_accumulated": AMOUNT,
            "version": VERSION,
        }
    ),
    "golden_guest": shape(
        {
            "money": AMOUNT,
            "dishes": AMOUNT,
            "level_rank": RANK,
            "level_xp": AMOUNT,
            "prestige_accumulated": AMOUNT,
            "version": VERSION,
            "gain": AMOUNT,
            "guest": named("GoldenGuest"),
        },
        {"duplicate": {"const": True, "description": "This guest was served before; nothing changed."}},
    ),
    "leaderboard": shape(
        {
            "by": {"type": "string", "enum": ["money", "stars"]},
            "entries": some(named("Entry")) | {"maxItems": 100},
            "me": named("OwnEntry"),
        }
    ),
    "name_set": shape({"name": {"type": "string", "minLength": 3, "maxLength": 24}}),
    "achievements": shape(
        {"achievements": some(named("Achievement")), "statistics": named("Statistics"), "version": VERSION}
    ),
}
"""The data of each response that is no error."""

PUSHES: Final[dict[str, Schema]] = {
    **{
        kind: RESPONSES[kind]
        for kind in ("cook", "sell", "upgrade_buy", "level_up", "session_reset", "passive", "session")
    },
    "achievement": shape({"achievements": some(named("Achievement")), "version": VERSION}),
}
"""The data of what comes with an empty request_id: copies, ticks, snapshots, announcements."""
