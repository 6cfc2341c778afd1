"""Statements for PostgreSQL are written in one folder: the contract on imports does not see a pool in use."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from tests.support.game_server import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

DURABLE: Final = REPOSITORY / "persistence" / "durable"
FOLDERS: Final = ("game", "runtime", "persistence", "seeds", "server")
METHODS: Final = {
    *("acquire", "cursor", "execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval"),
    *("copy_records_to_table", "copy_to_table", "prepare", "transaction"),
}


def _used_in(source: str) -> Iterator[tuple[int, str]]:
    """Find calls, and mentions as a value, of what asyncpg's pools and connections run statements with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            yield node.lineno, node.attr


def test_only_the_durable_folder_runs_statements() -> None:
    """Elsewhere a pool or a connection is opened, passed on and closed, and never asked anything."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{line} {name}"
        for folder in FOLDERS
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        if DURABLE not in path.parents
        for line, name in _used_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []
