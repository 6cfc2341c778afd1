"""The heads of the Lua scripts: what each promises of its KEYS, ARGV, replies and publications."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECTIONS: Final = ("KEYS", "ARGV", "REPLY", "SENDS", "EFFECTS", "COST")
_SECTION: Final = re.compile(rf"^-- ({'|'.join(_SECTIONS)})\b(.*)$")
_REMARK: Final = re.compile(r"\s*\([^)]*\)")
_LIST: Final = re.compile(r"(?:(\w+): )?\{(.+)\}$")


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
            lines = sections[section[1]]
        content = section[2] if section else line[2:]
        if content.strip():
            lines.append(content.strip())
    shapes = _unwrapped(sections["REPLY"])
    lists = {match[1] or "": _words(match[2]) for shape in shapes if (match := _LIST.match(shape))}
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
    """Join a shape that goes on in the next line; drop what stands in brackets."""
    whole: list[str] = []
    for line in shapes:
        if whole and whole[-1].endswith(","):
            whole[-1] = f"{whole[-1]} {line}"
        else:
            whole.append(line)
    return [_REMARK.sub("", shape) for shape in whole]


def _numbered(lines: Sequence[str]) -> tuple[str, ...]:
    """Split `1 session, 2 dirty` or one entry a line; a gap in the numbers leaves an empty name."""
    entries = [entry.strip() for line in lines for entry in re.split(r",\s*(?=\d+ [a-z])", line)]
    named = {
        int(match[1]): entry[match.end(1) + 1 :] for entry in entries if (match := re.match(r"(\d+) ", entry))
    }
    return tuple(named.get(number, "") for number in range(1, max(named, default=0) + 1))
