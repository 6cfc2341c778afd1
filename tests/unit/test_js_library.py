"""The JavaScript client library's files: what the server takes, what its types say, and its weight."""

from __future__ import annotations

import json
import re
from typing import Final

from scripts.describe.library import join
from server.http.static import read_files
from server.protocol.fields import REQUEST_SHAPES, STATE_CHANGING
from tests.support.game_server import REPOSITORY

LIBRARY: Final = REPOSITORY / "clients" / "js" / "lib"
MODULE: Final = (LIBRARY / "click-and-cook.js").read_text(encoding="utf-8")


def test_it_gives_a_number_to_each_request_that_changes_state() -> None:
    """Its list of requests with a `seq` is the server's of requests that take one."""
    (listed,) = re.findall(r"const COUNTED = new Set\((\[.*?\])\);", MODULE)
    assert set(json.loads(listed)) == STATE_CHANGING


def test_it_has_a_method_for_each_request() -> None:
    """Each request type is a method, in the code and in the types, with the arguments that it takes."""
    (table,) = re.findall(r"const REQUESTS = \[(.*?)\];", MODULE, re.DOTALL)
    requests = {kind: names.split() for kind, names in re.findall(r'"(\w+)(.*?)"', table)}
    types = (LIBRARY / "click-and-cook.d.ts").read_text()
    for kind, shape in REQUEST_SHAPES.items():
        name = re.sub("_([a-z])", lambda found: found[1].upper(), kind)
        taken = [field.name for field in shape.fields if field.name not in ("client", "seq", "token")]
        assert requests.pop(kind) == taken
        (typed,) = re.findall(rf'\t{name}\((.*?)\): Answer<"{kind}">;', types)
        assert re.findall(r"(\w+)\??:", typed) == taken
    assert requests == {}


def test_it_depends_on_nothing() -> None:
    """It is one module that imports nothing, and its package names no dependency."""
    package = json.loads((LIBRARY.parent / "package.json").read_text())
    assert {name for name in package if "ependencies" in name} == set()
    assert [path.name for path in LIBRARY.glob("*.js")] == ["click-and-cook.js"]
    assert re.findall(r"\b(?:import|from)\b *[\"'({*]", MODULE) == []


def test_it_weighs_less_than_8_kb() -> None:
    """All of it, as the server sends it to a browser that takes Brotli."""
    assert sum(len(file.form("br")) for file in read_files(LIBRARY).values()) < 8_192


def test_sources_are_joined_without_their_comments_and_imports() -> None:
    """Each module stands there once, the entry first; comments go, what looks like one in a text stays."""
    imports = 'import { b } from "./b.js";\nimport { c } from "./c.js";\n\nexport * from "./b.js";\n'
    sources = {
        "a.js": f'/** A. */\n\n{imports}const at = "//a";\n\t/** Why\n\t * this. */\n\tb(at);\n',
        "b.js": 'import { c } from "./c.js";\n\n// Why.\nexport const b = c;\n',
        "c.js": "export const c = 1;\n",
    }
    joined = 'const at = "//a";\n\tb(at);\n\nexport const b = c;\n\nexport const c = 1;\n'
    assert join(sources, "a.js") == joined
