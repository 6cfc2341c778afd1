"""The JavaScript client library's files: what the server takes, what its types say, and its weight."""

from __future__ import annotations

import json
import re
from typing import Final

from server.http.static import read_files
from server.protocol.fields import REQUEST_SHAPES, STATE_CHANGING
from tests.support.game_server import REPOSITORY

LIBRARY: Final = REPOSITORY / "clients" / "js" / "lib"


def test_it_gives_a_number_to_each_request_that_changes_state() -> None:
    """Its list of requests with a `seq` is the server's of requests that take one."""
    (listed,) = re.findall(
        r"const COUNTED = new Set\((\[.*?\])\);", (LIBRARY / "core.js").read_text(), re.DOTALL
    )
    assert set(json.loads(listed)) == STATE_CHANGING


def test_it_has_a_method_for_each_request() -> None:
    """Each request type is a method, in the code and in the types, with the arguments that it takes."""
    (table,) = re.findall(r"const REQUESTS = \[(.*?)\];", (LIBRARY / "client.js").read_text(), re.DOTALL)
    requests = {kind: names.split() for kind, names in re.findall(r'"(\w+)(.*?)"', table)}
    types = (LIBRARY / "client.d.ts").read_text()
    for kind, shape in REQUEST_SHAPES.items():
        name = re.sub("_([a-z])", lambda found: found[1].upper(), kind)
        taken = [field.name for field in shape.fields if field.name not in ("client", "seq", "token")]
        assert requests.pop(kind) == taken
        (typed,) = re.findall(rf'\t{name}\((.*?)\): Answer<"{kind}">;', types)
        assert re.findall(r"(\w+)\??:", typed) == taken
    assert requests == {}


def test_it_depends_on_nothing() -> None:
    """Its modules import one another and nothing else, and its package names no dependency."""
    package = json.loads((LIBRARY.parent / "package.json").read_text())
    assert {name for name in package if "ependencies" in name} == set()
    for path in LIBRARY.glob("*.js"):
        imported = re.findall(r'(?:from|import) "(.*?)"|import\(', path.read_text())
        assert {f"./{other.name}" for other in LIBRARY.glob("*.js")} >= set(imported)


def test_it_weighs_little() -> None:
    """All of it, as the server sends it to a browser, comments and all."""
    files = read_files(LIBRARY).values()
    assert sum(len(file.form("br")) for file in files) < 11_000
