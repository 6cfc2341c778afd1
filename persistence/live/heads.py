"""The heads of the Lua scripts: what each promises of its KEYS, ARGV, replies and publications."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECTIONS: Final = ("KEYS", "ARGV", "REPLY", "SENDS", "EFFECTS", "COST")
_SECTION: Final = re.compile(rf"^-- (?P<name>{'|'.join(_SECTIONS)})\b(?P<content>.*)$")
_REMARK: Final = re.compile(r"\s*\([^)]*\)")
_LIST: Final = re.compile(r"(?:(?P<name>\w+): )?\{(?P<items>.+)\}$")


@dataclass(frozen=True, slots=True)
class Head:
    """What a script's first comment promises.

    `keys` and `argv` name KEYS and ARGV. Each of `replies` is a status and the names of what follows, each of
    `sends` the kind of a publication and the names of what follows. `lists` are replies without a status:
    the reply itself is called "", what it repeats has a name.
    """

    purpose: str
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    replies: tuple[tuple[str, ...], ...]
    lists: Mapping[str, tuple[str, ...]]
    sends: tuple[tuple[str, ...], ...]
    effects: str
    cost: str


def head_of(text: str) -> Head:
    """Parse a script's head. A section that is missing comes out empty; the check says so."""
    purpose: list[str] = []
    sections: dict[str, list[str]] = {name: [] for name in _SECTIONS}
    lines = purpose
    for line in text.splitlines():
        if line.startswith("#!"):
            continue
        if not line.startswith("--") or line.startswith("--@"):
            break
        section = _SECTION.match(line)
        if section:
            lines = sections[section["name"]]
        content = section["content"] if section else line.removeprefix("--")
        if content.strip():
            lines.append(content.strip())
    shapes = _unwrapped(sections["REPLY"])
    lists = {match["name"] or "": _words(match["items"]) for shape in shapes if (match := _LIST.match(shape))}
    return Head(
        purpose=" ".join(purpose),
        keys=_numbered(sections["KEYS"]),
        argv=_numbered(sections["ARGV"]),
        replies=tuple(_words(shape) for shape in shapes if not _LIST.match(shape)),
        lists=lists,
        sends=tuple(map(_words, _unwrapped(sections["SENDS"]))),
        effects=" ".join(sections["EFFECTS"]),
        cost=" ".join(sections["COST"]),
    )


def _words(shape: str) -> tuple[str, ...]:
    return tuple(word.removesuffix("…") for word in re.split(r",\s*", shape))


def _unwrapped(shapes: Sequence[str]) -> list[str]:
    """Join a shape that continues on the next line; drop the text in brackets."""
    whole: list[str] = []
    for line in shapes:
        shape = f"{whole.pop()} {line}" if "".join(whole).endswith(",") else line
        whole.append(shape)
    return [_REMARK.sub("", shape) for shape in whole]


def _numbered(lines: Sequence[str]) -> tuple[str, ...]:
    """Split `1 session, 2 dirty` or one entry a line; a gap in the numbers leaves an empty name."""
    entries = [entry.strip() for line in lines for entry in re.split(r",\s*(?=\d+ [a-z])", line)]
    matches = (re.match(r"(?P<number>\d+) (?P<name>.*)", entry) for entry in entries)
    named = {int(match["number"]): match["name"] for match in matches if match}
    return tuple(named.get(number, "") for number in range(1, max(named, default=0) + 1))
