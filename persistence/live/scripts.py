"""The Lua scripts: read once, includes joined, named by their SHA.

A script's head says what it is for, its KEYS, ARGV, REPLY, SENDS (publications), EFFECTS and COST;
`persistence.live.check` holds it against the body and against the types of the replies.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from persistence.live.heads import head_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LUA: Final = Path(__file__).parent / "lua"

_INCLUDE: Final = re.compile(r"^ *--@include (?P<name>[\w/]+)\n", re.MULTILINE)


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


def load_scripts(overrides: Mapping[str, str] | None = None) -> Mapping[str, Script]:
    """Read every script, by name.

    `overrides` replaces libraries by name: a test feeds its own `clock`. Raises ValueError when a script
    includes a library that does not exist: correct the script.
    """
    libraries = read_libraries() | dict(overrides or {})
    return {path.stem: _script(path.stem, path.read_text(), libraries) for path in sorted(LUA.glob("*.lua"))}


def read_libraries() -> dict[str, str]:
    """Read what scripts include, by the name in their `--@include` lines.

    `lib` holds functions, `steps` what a script and the one that serves several players at once both do.
    """
    return {
        f"{folder}{path.stem}": path.read_text()
        for folder in ("", "steps/")
        for path in sorted((LUA / (folder or "lib")).glob("*.lua"))
    }


def _script(name: str, text: str, libraries: Mapping[str, str]) -> Script:
    source = joined(text, libraries)
    shebang = re.match(r"#!lua flags=(?P<flags>[\w,-]+)\n", source)
    flags = tuple(shebang["flags"].split(",")) if shebang else ()
    # SHA1 is the name that Redis gives to a script, no protection.
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, len(head_of(text).keys), flags)


def joined(text: str, libraries: Mapping[str, str]) -> str:
    """Put each library in place of its `--@include` line, once, however often it is asked for."""
    seen: set[str] = set()

    def library(match: re.Match[str]) -> str:
        name = match["name"]
        if name in seen:
            return ""
        if name not in libraries:
            raise ValueError(f"no Lua library is called {name}")
        seen.add(name)
        return _INCLUDE.sub(library, libraries[name])

    return _INCLUDE.sub(library, text)
