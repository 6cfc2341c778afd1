"""Hold the Lua scripts' heads against their bodies, the types of their replies and the record of a session.

`python -m persistence.live.check` prints a sentence for each difference, and exits with 1 when there is one.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from persistence.live.bodies import (
    differences,
    formats_differences,
    library_differences,
    record_differences,
)
from persistence.live.heads import head_of
from persistence.live.replies.clicks import CLICK_LISTS
from persistence.live.replies.play_shapes import PLAY_SHAPES
from persistence.live.replies.publications import PUBLICATION_SHAPES
from persistence.live.replies.upkeep import UPKEEP_LISTS, UPKEEP_SHAPES
from persistence.live.scripts import LUA, read_libraries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persistence.live.heads import Head


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
    """Hold every script's head against its body and its types, and all of Lua against the record."""
    libraries = read_libraries()
    shapes: dict[str, Mapping[bytes, type[Any]]] = {**PLAY_SHAPES, **UPKEEP_SHAPES}
    lists: dict[str, Mapping[str, type[Any]]] = {**UPKEEP_LISTS, **CLICK_LISTS}
    found = [*formats_differences(libraries["formats"]), *library_differences(libraries)]
    for name, text in sorted(libraries.items()):
        found += record_differences(name if "/" in name else f"lib/{name}", text)
    for path in sorted(LUA.glob("*.lua")):
        name, text = path.stem, path.read_text()
        found += differences(name, text, libraries)
        found += record_differences(name, text)
        found += type_differences(
            name, head_of(text), shapes.pop(name, {}), lists.get(name, {}), PUBLICATION_SHAPES
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
