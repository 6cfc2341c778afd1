"""No two files import each other, directly or around corners.

    python -m scripts.checks.cycles

Imports for annotations alone count, and so do those within functions: a reader follows them all the same.
Prints each circle and exits with 1 where there is one that `ALLOWED` does not name, or where `ALLOWED` names
one that is gone.
"""

from __future__ import annotations

import argparse
import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("game", "runtime", "persistence", "seeds", "clients", "scripts", "server")
_MAY_BE_RELATIVE: Final = "clients."
"""Installed under another name than here."""

ALLOWED: Final[frozenset[frozenset[str]]] = frozenset()
"""The circles that are left: none. An entry is the set of a circle's modules; entries are only taken out."""

Graph = dict[str, set[str]]
"""Each file's module, and the modules that it imports."""


def modules_under(root: Path) -> dict[str, Path]:
    """Name every module of the packages, with its file."""
    files = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return {_module_name(path.relative_to(root)): path for path in files}


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(sources: Mapping[str, str]) -> Graph:
    """Read what each module imports of the others, wherever in it that stands."""
    graph: Graph = {}
    for module, source in sources.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                origin = _origin(module, node, sources)
                inner = {f"{origin}.{alias.name}" for alias in node.names} & sources.keys()
                # What is no module of its own is a name in the module that it is imported from.
                named |= inner
                if len(inner) < len(node.names):
                    named.add(origin)
        graph[module] = (named & sources.keys()) - {module}
    return graph


def _origin(module: str, node: ast.ImportFrom, sources: Mapping[str, str]) -> str:
    """Name the module that an import takes names from."""
    if not node.level:
        return str(node.module)
    if node.level > 1 or not module.startswith(_MAY_BE_RELATIVE):
        raise ValueError(f"{module}: imports are absolute in this project")
    is_package = any(name.startswith(f"{module}.") for name in sources)
    package = module if is_package else module.rpartition(".")[0]
    return f"{package}.{node.module}"


def circles(graph: Graph) -> list[list[str]]:
    """Find circles until none is left; each begins and ends with the same module.

    The first step of a circle is taken out before the next is looked for.
    """
    # Sorted, so that of circles that share a step the same one is found each time.
    left = {module: sorted(graph[module]) for module in sorted(graph)}
    found: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            # graphlib names predecessors first: the last of it imports the one before.
            circle = list(reversed(error.args[1]))
            found.append(circle)
            left[circle[0]].remove(circle[1])
        else:
            return found


def problems(found: list[list[str]], allowed: frozenset[frozenset[str]]) -> list[str]:
    """Say which circles are not allowed, and which allowed ones are gone; a line each."""
    seen = {frozenset(circle) for circle in found}
    new = [f"a circle: {' → '.join(circle)}" for circle in found if frozenset(circle) not in allowed]
    gone = [f"gone, take it out of ALLOWED: {', '.join(sorted(names))}" for names in allowed - seen]
    return new + sorted(gone)


def main() -> int:
    """Check the project; returns the exit code."""
    sources = {module: path.read_text(encoding="utf-8") for module, path in modules_under(ROOT).items()}
    lines = problems(circles(imports_of(sources)), ALLOWED)
    for line in lines:
        sys.stderr.write(f"{line}\n")
    return 1 if lines else 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m scripts.checks.cycles",
        description="Find files that import each other. Exit code 1: there are some.",
    ).parse_args()
    sys.exit(main())
