"""What happened in a run: the evidence that the judges read. All times are of one monotonic clock, in s.

A moment of sending is taken before the bytes go out, one of hearing after they came: what is said to lie
before something else did lie before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from pathlib import Path

    from game.session import Session


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection is open, from here on at `server`, by a log-in of `family`."""

    at_s: float
    connection: int
    player: str
    tab: str
    server: str
    family: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A request goes out. `asked` has what it asks for: `count`, `id`, `client`, `seq`."""

    at_s: float
    connection: int
    request: int
    request_type: str
    asked: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message came: the answer to `request`, or with 0 a push. An error has the type `error`."""

    at_s: float
    connection: int
    request: int
    request_type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection has ended with a close code; 1006 without one, 1000 where the player left."""

    at_s: float
    connection: int
    code: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """A log-out was answered: `family` is dead from here on."""

    at_s: float
    player: str
    family: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A log-in was answered at `at_s` with `status`, 0 for none; it was asked for at `asked_s`."""

    asked_s: float
    at_s: float
    player: str
    server: str
    status: int


@dataclass(frozen=True, slots=True)
class Faulted:
    """A fault lasted from `at_s` to `ended_s`.

    `loses` says which last changes Redis may lose by it: none, those that were not `answered`, or `all`.
    """

    at_s: float
    ended_s: float
    kind: str
    target: str
    loses: str = ""
    gives_s: float = 0.0
    """Seconds of income that it makes: Redis' clock was stepped forward by so much."""

    is_graceful: bool = False
    """Whether it must cost no player a refusal, nor more than half a second."""


@dataclass(frozen=True, slots=True)
class Saved:
    """PostgreSQL had a version of a player's session."""

    at_s: float
    player: str
    version: int


@dataclass(frozen=True, slots=True)
class Health:
    """What a server's `/readyz` said: `ok`, `degraded`, …; "" where it did not answer."""

    at_s: float
    server: str
    status: str


@dataclass(frozen=True, slots=True)
class Logged:
    """How much a program wrote to its log since `since_s`."""

    since_s: float
    at_s: float
    program: str
    lines: int
    tracebacks: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A program was asked to end, and had `code` at `at_s`; None: it never ended."""

    asked_s: float
    at_s: float
    program: str
    code: int | None


@dataclass(frozen=True, slots=True)
class Quit:
    """A program that was started at `started_s` ended by itself with `code`.

    `lacked_database`: it said that a database did not answer at its start.
    """

    started_s: float
    at_s: float
    program: str
    code: int
    lacked_database: bool


@dataclass(frozen=True, slots=True)
class Lagged:
    """The recorder itself stood still until `at_s`, for `by_s`."""

    at_s: float
    by_s: float


Event = (
    Opened
    | Sent
    | Heard
    | Closed
    | Revoked
    | LoggedIn
    | Faulted
    | Saved
    | Health
    | Logged
    | Ended
    | Quit
    | Lagged
)
_KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        Opened, Sent, Heard, Closed, Revoked, LoggedIn, Faulted, Saved, Health, Logged, Ended, Quit, Lagged,
    )
}  # fmt: skip


@dataclass(slots=True)
class History:
    """One run: what each player began with, what happened, and what was stored when all was over.

    `began_s` is when the first session was made, `stopped_s` when players stopped sending, `ended_s` when
    their tabs were looked at last, `stored_s` when the databases were. `live` and
    `saved` are what Redis and PostgreSQL had then; Redis may have let go of a session that is saved.
    """

    start: dict[str, Session]
    began_s: float = 0.0
    events: list[Event] = field(default_factory=list)
    stopped_s: float = 0.0
    ended_s: float = 0.0
    stored_s: float = 0.0
    live: dict[str, Session] = field(default_factory=dict)
    saved: dict[str, Session] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the events to a file, a line of JSON each, for a reader."""
        with path.open("wb") as file:
            file.writelines(orjson.dumps({type(event).__name__: event}) + b"\n" for event in self.events)


def read_events(path: Path) -> list[Event]:
    """Read the events that `write` wrote."""
    events: list[Event] = []
    with path.open("rb") as file:
        for line in file:
            events += (_KINDS[name](**fields) for name, fields in orjson.loads(line).items())
    return events
