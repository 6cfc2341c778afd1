"""The Lua scripts' bodies held against their heads, and against the record of a session's numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persistence.live.heads import head_of
from persistence.live.record import Life, Now, Rates
from persistence.live.scripts import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from persistence.live.heads import Head

_COMMENT: Final = re.compile(r"--.*$", re.MULTILINE)
_KIND_AT: Final = {"tell": 2, "publish": 3}
"""Which argument of these functions of lua/lib is the kind of a publication."""


def differences(name: str, text: str, libraries: Mapping[str, str]) -> list[str]:
    """Say where a script's head and its body differ, a sentence each; nothing when they agree."""
    head = head_of(text)
    body = _COMMENT.sub("", joined(text, libraries))
    found: list[str] = [
        f"{name}: the head says nothing of its {part}"
        for part in ("purpose", "keys", "effects", "cost")
        if not getattr(head, part)
    ]
    if not (head.replies or head.lists):
        found.append(f"{name}: the head says nothing of its replies")
    # The steps that a script shares with another are its own; functions of lua/lib name their own arguments.
    steps = {name: text for name, text in libraries.items() if "/" in name}
    own = _COMMENT.sub("", joined(text, dict.fromkeys(libraries, "") | steps))
    return [
        *found,
        *_argument_differences(name, "KEYS", head.keys, own),
        *_argument_differences(name, "ARGV", head.argv, own),
        *_reply_differences(name, head, body),
        *_sends_differences(name, head, body),
    ]


def _argument_differences(name: str, kind: str, declared: Sequence[str], body: str) -> list[str]:
    """Compare the names that a body gives to its KEYS or ARGV with those of the head."""
    if "" in declared:
        return [f"{name}: the numbers of {kind} have a gap"]
    names = [entry.partition(" ")[0] for entry in declared]
    body = _plain(body)
    statement = re.search(
        rf"^local (?P<names>[\w,\s]+?) =\s(?P<numbers>(?:\s*{kind}\[\d+\],?)+)$", body, re.MULTILINE
    )
    named, numbers = [], []
    if statement:
        named, numbers = _arguments(statement["names"]), re.findall(r"\d+", statement["numbers"])
        body = body.replace(statement.group(), "", 1)
    found = [
        f"{name}: the body names {word} and never uses it"
        for word in named
        if not re.search(rf"\b{word}\b", body)
    ]
    if numbers != [str(number) for number in range(1, len(named) + 1)]:
        found.append(f"{name}: the body's names of {kind} are not in their order")
    if re.search(rf"\b{kind}\[\d+\]", body):
        found.append(f"{name}: the body reads {kind} by number")
    # A list that ends in … repeats for each item of a batch: its body counts through what repeats.
    repeats = "".join(declared).endswith("…")
    if named != (names[: len(named)] if repeats else names):
        found.append(f"{name}: the head names {kind} {', '.join(names)}, the body {', '.join(named)}")
    return found


def _plain(body: str) -> str:
    """Take a number made of an argument for the argument itself: names stand for both."""
    return re.sub(r"\btonumber\(((?:KEYS|ARGV)\[\d+\])\)", r"\1", body)


def library_differences(libraries: Mapping[str, str]) -> list[str]:
    """Say which libraries read KEYS or ARGV, which scripts alone name, or lack the function of their name.

    A library of constants, or of short names, has no function at all.
    """
    found = []
    for name, text in sorted(libraries.items()):
        code = _COMMENT.sub("", text)
        where = name if "/" in name else f"lib/{name}"
        if re.search(r"\b(KEYS|ARGV)\b", code):
            found.append(f"{where}: reads KEYS or ARGV, which a script names")
        functions = re.findall(r"^local function (\w+)", code, re.MULTILINE)
        if functions and functions.pop() != name:
            found.append(f"{where}: the function that it ends with is not {name}")
    return found


def _reply_differences(name: str, head: Head, body: str) -> list[str]:
    # A reply in brackets alone describes numbers: there is no word to compare.
    declared_words = {word for word, *_ in head.replies if word}
    replied_words = set(re.findall(r"return\s*\{\s*'(\w+)'", body))
    found = []
    if declared_words != replied_words:
        found.append(f"{name}: the head replies {sorted(declared_words)}, the body {sorted(replied_words)}")
    lengths = {(word, 1 + len(names)) for word, *names in head.replies}
    for table in re.findall(r"return\s*\{(\s*'\w+'[^}]*)\}", body):
        word, *items = _arguments(table)
        shape = word.strip("'"), 1 + len(items)
        if word.strip("'") in declared_words and shape not in lengths:
            found.append(f"{name}: the body replies %s with %d words, which the head does not show" % shape)
    return found


def _sends_differences(name: str, head: Head, body: str) -> list[str]:
    """Compare the publications whose kind the body names; some are written elsewhere and only passed on."""
    declared = {(kind, 1 + len(names)) for kind, *names in head.sends}
    return [
        f"{name}: the body publishes {kind} with {length} words, which the head does not show"
        for kind, length in _sent(body)
        if (kind, length) not in declared
    ]


def _sent(body: str) -> Iterator[tuple[str, int]]:
    for function, at in _KIND_AT.items():
        for match in re.finditer(rf"(?<!function )\b{function}\(", body):
            for kind, *names in [_arguments(body[match.end() :])[at:] or [""]]:
                if kind.startswith("'"):
                    yield kind.strip("'"), 1 + len(names)


def _arguments(text: str) -> list[str]:
    """Split a list of Lua expressions at its commas, up to the bracket that ends it."""
    items, item, depth = [], "", 0
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "," and depth == 0:
            items.append(item)
            item = ""
        else:
            item += character
    return [text.strip() for text in (*items, item) if text.strip()]


_FORMATS: Final = {"NOW": Now._fields, "LIFE": Life._fields, "RATES": Rates._fields}
_STARTS: Final = {
    "ACCRUED": (Life._fields, "accrued_at"),
    "JOINED": (Life._fields, "joined_until"),
}
"""Where a constant of lib/formats begins to read."""
_NUMBERS: Final = frozenset({*Now._fields, *Life._fields, *Rates._fields})
_UNPACKED: Final = re.compile(r"(?P<names>[\w.]+(?:,\s*[\w.]+)*)\s*=\s*struct[._]unpack\(")


def record_differences(name: str, code: str) -> list[str]:
    """Say where Lua packs or unpacks a session's numbers in another order than the record's."""
    found = []
    code = _COMMENT.sub("", code)
    for match in re.finditer(r"struct[._]pack\(", code):
        form, *values = _arguments(code[match.end() :])
        if not _fits(form, values, "", packs=True):
            found.append(f"{name}: packs {', '.join(values)} as {form}")
    for match in _UNPACKED.finditer(code):
        form, _, *start = _arguments(code[match.end() :])
        if not _fits(form, _arguments(match["names"]), "".join(start), packs=False):
            found.append(f"{name}: unpacks {match['names']} as {form}")
    return found


def _fits(form: str, words: Sequence[str], start: str, *, packs: bool) -> bool:
    """Hold the names of numbers against their places; a literal format is the beginning of some field."""
    names = [word.removeprefix("s.").partition(" ")[0] for word in words]
    if form in _FORMATS:
        fields = _FORMATS[form]
        return _agree(names, fields) and (len(names) == len(fields) or not packs)
    if start in _STARTS:
        fields, first = _STARTS[start]
        return _agree(names, fields[fields.index(first) :])
    return any(_agree(names, fields) for fields in _FORMATS.values())


def _agree(names: Sequence[str], fields: Sequence[str]) -> bool:
    return len(names) <= len(fields) and all(
        name == field or name not in _NUMBERS for name, field in zip(names, fields, strict=False)
    )


def formats_differences(text: str) -> list[str]:
    """Say which constants of lib/formats are not those of the record."""
    formats = ", ".join(f"'<{'d' * len(fields)}'" for fields in _FORMATS.values())
    rest, stamp = Now._fields.index("dishes"), len(Rates._fields)
    begin = (fields.index(first) for fields, first in _STARTS.values())
    lines = [
        f"local NOW, LIFE, RATES = {formats}",
        f"local REST, STAMP = {_offsets(rest, stamp)}",
        f"local ACCRUED, JOINED = {_offsets(*begin)}",
    ]
    return [f"lib/formats: must say {line}" for line in lines if line not in text.splitlines()]


def _offsets(*starts: int) -> str:
    """Write where doubles begin, counted in bytes from 1."""
    return ", ".join(str(8 * start + 1) for start in starts)
