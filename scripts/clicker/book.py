"""A book of answered requests: one line of JSON each, to check the game's arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.clicker.answered import Answered

_ASKED: Final = ("count", "id")
_ANSWERED: Final = (
    "applied",
    "version",
    "money",
    "dishes",
    "xp",
    "duplicate",
    "current_rank",
    "times_bought",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request.

    `asked` is what it asked for (`count`, `id`), `code` the refusal or "", `answered` what the answer said:
    `applied`, `version`, `money`, `dishes`, `xp`, `duplicate`, `current_rank`, `times_bought`.
    """

    player: str
    client: str
    seq: int
    request_type: str
    times_sent: int
    asked: dict[str, int]
    code: str
    answered: dict[str, Any]

    @property
    def count(self) -> int:
        """How many cooks or sells were asked for."""
        return self.asked.get("count", 1)


class Book:
    """Writes entries to a file, in the order of the answers."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.entries = 0

    def write(self, player: str, client: str, answered: Answered) -> None:
        """Write down a request with a number; those without change nothing that could be counted."""
        sent = answered.sent
        if not sent.seq:
            return
        self.entries += 1
        asked = {name: sent.data[name] for name in _ASKED if name in sent.data}
        data = {name: answered.data[name] for name in _ANSWERED if name in answered.data}
        line = (player, client, sent.seq, sent.request_type, sent.times_sent, asked, answered.code, data)
        self._file.write(orjson.dumps(line) + b"\n")


def read_book(path: Path) -> Iterator[Entry]:
    """Read a book from its beginning."""
    with path.open("rb") as file:
        for line in file:
            yield Entry(*orjson.loads(line))
