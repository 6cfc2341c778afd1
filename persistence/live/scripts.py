"""The Lua scripts: read once, includes joined, named by their SHA, heads held against bodies.

A script's head says what it is for, its KEYS, ARGV, REPLY, EFFECTS and COST.
`python -m persistence.live.scripts` prints where a head and its body differ, and exits with 1 then.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LUA: Final = Path(__file__).parent / "lua"

_INCLUDE: Final = re.compile(r"^ *--@include (\w+)\n", re.MULTILINE)
_SECTION: Final = re.compile(r"^-- (KEYS|ARGV|REPLY|EFFECTS|COST)\b(.*)$")
_COMMENT: Final = re.compile(r"--.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One script as Redis runs it.

    `source` starts with a `#!lua` line when the head asks for `flags`; `sha` is the SHA1 that EVALSHA takes,
    `keys` the number of KEYS that a caller passes.
    """

    name: str
    source: str = field(repr=False)
    sha: str
    keys: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What a script's first comment promises: numbers of KEYS and ARGV, and each REPLY as its words."""

    purpose: str
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    replies: tuple[tuple[str, ...], ...]
    effects: str
    cost: str


def load_scripts(overrides: Mapping[str, str] | None = None) -> Mapping[str, Script]:
    """Read every script, by name.

    `overrides` replaces libraries by name: a test feeds its own `clock`. Raises ValueError when a script
    includes a library that does not exist: mend the script.
    """
    libraries = {path.stem: path.read_text() for path in sorted((LUA / "lib").glob("*.lua"))}
    libraries |= overrides or {}
    return {path.stem: _script(path.stem, path.read_text(), libraries) for path in sorted(LUA.glob("*.lua"))}


def _script(name: str, text: str, libraries: Mapping[str, str]) -> Script:
    source = joined(text, libraries)
    shebang = re.match(r"#!lua flags=([\w,-]+)\n", source)
    flags = tuple(shebang[1].split(",")) if shebang else ()
    # SHA1 is the name that Redis gives to a script, no protection.
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, len(head_of(text).keys), flags)


def joined(text: str, libraries: Mapping[str, str]) -> str:
    """Put each library in place of its `--@include` line, once, however often it is asked for."""
    seen: set[str] = set()

    def library(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return ""
        if name not in libraries:
            raise ValueError(f"no Lua library is called {name}")
        seen.add(name)
        return _INCLUDE.sub(library, libraries[name])

    return _INCLUDE.sub(library, text)


def head_of(text: str) -> Head:
    """Parse a script's head. A section that is missing comes out empty; `differences` says so."""
    purpose: list[str] = []
    sections: dict[str, list[str]] = {name: [] for name in ("KEYS", "ARGV", "REPLY", "EFFECTS", "COST")}
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
    return Head(
        purpose=" ".join(purpose),
        keys=_numbered(sections["KEYS"]),
        argv=_numbered(sections["ARGV"]),
        replies=tuple(tuple(re.split(r",\s*", reply)) for reply in _unwrapped(sections["REPLY"])),
        effects=" ".join(sections["EFFECTS"]),
        cost=" ".join(sections["COST"]),
    )


def _unwrapped(replies: Sequence[str]) -> list[str]:
    """Join a reply that goes on in the next line; drop what stands in brackets."""
    whole: list[str] = []
    for line in replies:
        if whole and whole[-1].endswith(","):
            whole[-1] = f"{whole[-1]} {line}"
        else:
            whole.append(line)
    return [re.sub(r"\s*\([^)]*\)", "", reply) for reply in whole]


def _numbered(lines: Sequence[str]) -> tuple[str, ...]:
    """Split `1 session, 2 dirty` or one entry a line; a gap in the numbers leaves an empty name."""
    entries = [entry.strip() for line in lines for entry in re.split(r",\s*(?=\d+ [a-z])", line)]
    named = {
        int(match[1]): entry[match.end(1) + 1 :] for entry in entries if (match := re.match(r"(\d+) ", entry))
    }
    return tuple(named.get(number, "") for number in range(1, max(named, default=0) + 1))


def differences(name: str, text: str, libraries: Mapping[str, str]) -> list[str]:
    """Say where a script's head and its body differ, a sentence each; nothing when they agree."""
    head = head_of(text)
    body = _COMMENT.sub("", joined(text, libraries))
    found: list[str] = [
        f"{name}: the head says nothing of its {part}"
        for part in ("purpose", "keys", "replies", "effects", "cost")
        if not getattr(head, part)
    ]
    for kind, declared in (("KEYS", head.keys), ("ARGV", head.argv)):
        used = {int(number) for number in re.findall(rf"\b{kind}\[(\d+)\]", body)}
        if "" in declared:
            found.append(f"{name}: the numbers of {kind} have a gap")
        if max(used, default=0) > len(declared):
            found.append(f"{name}: the body uses {kind}[{max(used)}], the head ends at {len(declared)}")
        # A list that ends in … repeats for each item of a batch: its body counts through it.
        repeats = bool(declared) and declared[-1].endswith("…")
        unused = set(range(1, len(declared) + 1)) - used
        if unused and not repeats:
            found.append(f"{name}: the head names {kind} {sorted(unused)}, the body uses none of them")
    # A reply in brackets alone describes numbers: there is no word to compare.
    declared_words = {reply[0] for reply in head.replies if reply[0]}
    replied_words = set(re.findall(r"return\s*\{\s*'(\w+)'", body))
    if declared_words != replied_words:
        found.append(f"{name}: the head replies {sorted(declared_words)}, the body {sorted(replied_words)}")
    lengths = {(reply[0], len(reply)) for reply in head.replies}
    for words in re.findall(r"return\s*(\{\s*'\w+'[^}]*\})", body):
        shape = _shape(words)
        if shape[0] in declared_words and shape not in lengths:
            found.append(
                f"{name}: the body replies {shape[0]} with {shape[1]} words, which the head does not show"
            )
    return found


def _shape(table: str) -> tuple[str, int]:
    """Return the first word of a Lua table of replies and how many items it has."""
    items, depth = [""], 0
    for character in table[1:-1]:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    full = [item.strip() for item in items if item.strip()]
    return full[0].strip("'"), len(full)


def check() -> list[str]:
    """Hold every script's head against its body."""
    libraries = {path.stem: path.read_text() for path in (LUA / "lib").glob("*.lua")}
    return [
        difference
        for path in sorted(LUA.glob("*.lua"))
        for difference in differences(path.stem, path.read_text(), libraries)
    ]


if __name__ == "__main__":
    problems = check()
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.exit(1 if problems else 0)
