"""Hold the Lua scripts' heads against their bodies, and against the types of their replies.

`python -m persistence.live.check` prints a sentence for each difference, and exits with 1 when there is one.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from persistence.live.heads import head_of
from persistence.live.replies.play import PLAY_SHAPES
from persistence.live.replies.publications import PUBLICATION_SHAPES
from persistence.live.replies.upkeep import UPKEEP_LISTS, UPKEEP_SHAPES
from persistence.live.scripts import LUA, joined

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
    return [*found, *_reply_differences(name, head, body), *_sends_differences(name, head, body)]


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
            words = _arguments(body[match.end() :])[at:]
            if words and words[0].startswith("'"):
                yield words[0].strip("'"), len(words)


def _arguments(text: str) -> list[str]:
    """Split a list of Lua expressions at its commas, up to the bracket that ends it."""
    items, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items if item.strip()]


def type_differences(
    name: str,
    head: Head,
    shapes: Mapping[bytes, type[Any]],
    lists: Mapping[str, type[Any]],
    publications: Mapping[bytes, type[Any]],
) -> list[str]:
    """Say where a script's head and the types of its replies and publications differ, a sentence each."""
    replied = {word: names for word, *names in head.replies if word}
    found = [
        *_field_differences(f"{name} replies", replied, shapes),
        *_field_differences(f"{name} replies", head.lists, lists, skip=0),
    ]
    sent = {kind: names for kind, *names in head.sends}
    known = {kind.encode(): publications[kind.encode()] for kind in sent if kind.encode() in publications}
    return found + _field_differences(f"{name} publishes", sent, known)


def _field_differences(
    what: str,
    declared: Mapping[str, Sequence[str]],
    shapes: Mapping[bytes, type[Any]] | Mapping[str, type[Any]],
    *,
    skip: int = 1,
) -> list[str]:
    """Compare names with the fields of types; the first `skip` fields are the word itself."""
    typed = {
        word.decode() if isinstance(word, bytes) else word: [*shape._fields[skip:]]
        for word, shape in shapes.items()
    }
    found = [
        f"{what} {word or 'a list'}, which has no type" if word in declared else f"{what} no {word}"
        for word in sorted(declared.keys() ^ typed.keys())
    ]
    return found + [
        f"{what} {word or 'a list'} with {', '.join(names)}, its type has {', '.join(typed[word])}"
        for word, names in declared.items()
        if word in typed and [*names] != typed[word]
    ]


def check() -> list[str]:
    """Hold every script's head against its body and its types."""
    libraries = {path.stem: path.read_text() for path in (LUA / "lib").glob("*.lua")}
    shapes: dict[str, Mapping[bytes, type[Any]]] = {**PLAY_SHAPES, **UPKEEP_SHAPES}
    found = []
    for path in sorted(LUA.glob("*.lua")):
        name, text = path.stem, path.read_text()
        found += differences(name, text, libraries)
        found += type_differences(
            name, head_of(text), shapes.pop(name, {}), UPKEEP_LISTS.get(name, {}), PUBLICATION_SHAPES
        )
    return found + [f"{name} has types and no script" for name in sorted(shapes)]


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m persistence.live.check",
        description="Hold each Lua script's head against its body and its types. Exit code 1: they differ.",
    ).parse_args()
    problems = check()
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.exit(1 if problems else 0)
