"""No value is read by its position: `python -m scripts.checks.named_data`, in `make check`.

A reply, a row or a tuple that is read as `values[16]` says nothing to a reader and breaks in silence when its
order changes. So a constant position or slice of anything is a defect: give the data a type with names, or
unpack it into names. What is left has its reason in `ALLOWED`. The command prints a line for each defect, and
exits with 1 when there is one; an entry that allows nothing any more is a defect too.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("persistence", "server", "game")

_SPLITTING: Final = frozenset({"partition", "rpartition"})
"""Methods of texts and bytes whose parts have a fixed meaning: before, separator, after."""

_HOT: Final = "a reply's status, before the reply has a type: 11 ns, where unpacking takes 160"
_FRAME: Final = "the bytes of a frame's head, at the places that RFC 6455, 5.2 gives them"
ALLOWED: Final[Mapping[str, Mapping[str, str]]] = {
    "persistence/live/replies/play_shapes.py": {"reply[0]": _HOT},
    "persistence/live/addresses.py": {"address.nodes[0]": "the one node of an address that names one"},
    "persistence/live/reach.py": {
        "address.nodes[:1]": "the one node of an address that names one, none for a socket",
        "node[0]": "one of at most one",
    },
    "persistence/live/lane.py": {"self.run_id[:8]": "the beginning of a long name, for a log line"},
    "persistence/live/pipeline.py": {"push[0]": _HOT, "self._pending[0]": "the head of a queue"},
    "persistence/live/replica_barrier.py": {"repr(take)[:200]": "the beginning of a long text, for an error"},
    "server/app/operations.py": {"Path(__file__).parents[1]": "a folder above"},
    "server/observability/build.py": {"Path(__file__).parents[2]": "a folder above"},
    "server/http/origins.py": {"host[1:-1]": "a text without its brackets"},
    "server/auth/throttle.py": {"address.packed[-4:]": "the last four bytes, where RFC 6052 puts the IPv4"},
    "server/http/reader.py": {"self._raw[0]": "the first byte received"},
    "server/http/static.py": {
        "hashlib.sha256(body).hexdigest()[:32]": "the beginning of a digest",
        "self.etag[:-1]": "a text without its last quote",
    },
    "server/protocol/results.py": {
        "orjson.dumps(_described(upgrade)).decode()[:-1]": "a text without its last brace"
    },
    "server/ws/responder.py": {"request.request_id_json[1:-1]": "a text without its quotes"},
    "server/ws/connection.py": dict.fromkeys(("data[0]", "data[1]", "data[2]", "data[3]"), _FRAME),
    "server/ws/library_protocol.py": {"data[0]": _FRAME},
    "persistence/recovery/reconcile.py": {"run_id[:8]": "the beginning of a long name, for a log line"},
}
"""By file: each expression and why it may stand."""


def positions(source: str) -> Iterator[tuple[int, str]]:
    """Find what is read by a constant position: its line and its expression."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and _is_position(node.slice) and not _is_part_of_text(node.value):
            yield node.lineno, ast.unparse(node)


def _is_position(index: ast.expr) -> bool:
    if isinstance(index, ast.Slice):
        return any(_is_position(bound) for bound in (index.lower, index.upper) if bound is not None)
    if isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub):
        index = index.operand
    return isinstance(index, ast.Constant) and type(index.value) is int


def _is_part_of_text(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in _SPLITTING
    )


def defects(name: str, source: str, allowed: Mapping[str, str]) -> list[str]:
    """Say what a file reads by position and may not, and what is allowed and no longer there."""
    found = list(positions(source))
    unused = allowed.keys() - {expression for _, expression in found}
    return [
        *(f"{name}:{line}: {text} is read by position" for line, text in found if text not in allowed),
        *(f"{name}: {text} is allowed and not there" for text in sorted(unused)),
    ]


def check() -> list[str]:
    """Look through every file of FOLDERS."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            found += defects(name, path.read_text(encoding="utf-8"), ALLOWED.get(name, {}))
    missing = [f"{name}: is allowed and not there" for name in ALLOWED if not (ROOT / name).is_file()]
    return found + missing


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m scripts.checks.named_data",
        description="Find what is read by its position. Exit code 1: there is some.",
    ).parse_args()
    problems = check()
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.exit(1 if problems else 0)
