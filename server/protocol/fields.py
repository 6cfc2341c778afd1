"""The fields of requests on /ws, declared once: the parser and the API description both read this. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from game.clients import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]

MAX_REQUEST_ID_CHARS: Final = 128
MAX_CLIENT_CHARS: Final = MAX_NAME
MAX_SEQ: Final = 2**53 - 1
MAX_COUNT: Final = 1000
MAX_NAME_CHARS: Final = 64
"""Longer names are refused unread; the rule of a display name is stricter."""


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number within `bounds`, both included, or any where there are none.

    `name` is the key in the request's `data`, `attribute` where the parsed request keeps the value.
    """

    name: str
    attribute: str
    bounds: tuple[int, int] | None = None
    required: bool = False
    description: str = ""
    default: ClassVar[None] = None

    def check(self) -> Check:
        """Make the test that a value must pass; True and False are no numbers."""
        if self.bounds is None:
            return lambda value: value.__class__ is int
        least, most = self.bounds
        return lambda value: value.__class__ is int and least <= value <= most

    @property
    def rule(self) -> str:
        """Say what a value must be."""
        return "a whole number" + ("" if self.bounds is None else " from {} to {}".format(*self.bounds))


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `min_chars` to `max_chars` characters; `name` and `attribute` as for WholeNumber."""

    name: str
    attribute: str
    max_chars: int
    min_chars: int = 0
    without_nul: bool = False
    required: bool = False
    description: str = ""
    default: ClassVar[None] = None

    def check(self) -> Check:
        """Make the test that a value must pass."""
        least, most, without_nul = self.min_chars, self.max_chars, self.without_nul
        return lambda value: (
            value.__class__ is str and least <= len(value) <= most and not (without_nul and "\0" in value)
        )

    @property
    def rule(self) -> str:
        """Say what a value must be."""
        length = f"{self.min_chars} to {self.max_chars}" if self.min_chars else f"at most {self.max_chars}"
        return f"a text of {length} characters{' without NUL' if self.without_nul else ''}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few texts; `default` stands in where the field is absent, so that it always has a value."""

    name: str
    attribute: str
    choices: tuple[str, ...]
    default: str
    description: str = ""
    required: ClassVar[bool] = True

    def check(self) -> Check:
        """Make the test that a value must pass."""
        choices = self.choices
        return lambda value: value.__class__ is str and value in choices

    @property
    def rule(self) -> str:
        """Say what a value must be."""
        return " or ".join(f'"{choice}"' for choice in self.choices)


Field = WholeNumber | Text | Choice

CLIENT: Final = Text(
    "client",
    "client",
    MAX_CLIENT_CHARS,
    min_chars=1,
    without_nul=True,
    description="Made by the client at its start, kept across reconnects, one for each tab.",
)
SEQ: Final = WholeNumber("seq", "seq", (1, MAX_SEQ))
UPGRADE_ID: Final = WholeNumber("id", "subject", required=True)
LEADERBOARD_ORDER: Final = Choice("by", "subject", ("money", "stars"), "money")
GUEST: Final = WholeNumber(
    "serve", "subject", (1, MAX_SEQ), description="The id of the golden guest to serve: one who is here."
)
DISPLAY_NAME: Final = Text("name", "subject", MAX_NAME_CHARS, required=True)


class RequestShape:
    """What the `data` of a request type holds besides the token.

    `tagged`: the request changes state and takes `client` and `seq` too, both or neither. `always_read`: one
    without any of the fields has something to be refused or filled in. `readers` are the fields once more, as
    `field, name, default, required, check, attribute`: unpacked, they cost the parser half as much.
    `own_readers` are those without `client` and `seq`.
    """

    __slots__ = ("always_read", "fields", "own_readers", "readers", "tagged")

    def __init__(self, *fields: Field, tagged: bool = False) -> None:
        self.tagged = tagged
        self.fields: tuple[Field, ...] = (CLIENT, SEQ, *fields) if tagged else fields
        self.always_read = any(field.required for field in fields)
        self.readers = tuple(
            (field, field.name, field.default, field.required, field.check(), field.attribute)
            for field in self.fields
        )
        self.own_readers = self.readers[len(self.fields) - len(fields) :]


@lru_cache(maxsize=16)
def request_shapes(max_count: int = MAX_COUNT) -> Mapping[str, RequestShape]:
    """Return the shape of every request type; `max_count` is the largest `count` of clicks in one request."""
    clicks = WholeNumber(
        "count",
        "count",
        (1, max_count),
        description="How many single requests in one; no more than CLICK_BURST.",
    )
    purchases = WholeNumber(
        "count",
        "count",
        (1, MAX_COUNT),
        description="How many single purchases in one, each at its own price.",
    )
    return {
        "cook": RequestShape(clicks, tagged=True),
        "sell": RequestShape(clicks, tagged=True),
        "upgrade_buy": RequestShape(UPGRADE_ID, purchases, tagged=True),
        "level_up": RequestShape(tagged=True),
        "session_reset": RequestShape(tagged=True),
        "session": RequestShape(CLIENT),
        "passive": RequestShape(),
        "upgrade_list": RequestShape(),
        "level_check": RequestShape(),
        "achievements": RequestShape(),
        "leaderboard": RequestShape(LEADERBOARD_ORDER),
        "name_set": RequestShape(DISPLAY_NAME),
        "golden_guest": RequestShape(GUEST),
    }


REQUEST_SHAPES: Final = request_shapes()
REQUEST_TYPES: Final = frozenset(REQUEST_SHAPES)
ADDED: Final = frozenset({"achievements", "leaderboard", "name_set", "golden_guest"})
"""Requests that the original system did not have."""
STATE_CHANGING: Final = frozenset(name for name, shape in REQUEST_SHAPES.items() if shape.tagged)
"""Requests that may carry `client` and `seq`, so that one sent twice is applied once."""
