"""Write openapi.yaml, asyncapi.yaml and the JavaScript library with its wire.d.ts; `--check` only compares.

`python -m scripts.describe` makes all from what the code itself checks by: nothing in them is written twice.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from scripts.describe import asyncapi, library, openapi, typescript

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY: Final = Path(__file__).parents[2]
_HEAD: Final = "Made by `python -m scripts.describe` from the code; changes here are lost."
_LIBRARY_HEAD: Final = "Made by `python -m scripts.describe` from clients/js/src, where the comments are."
_DOCUMENTS: Final[dict[str, Callable[[], dict[str, object]]]] = {
    "docs/openapi.yaml": openapi.describe,
    "docs/asyncapi.yaml": asyncapi.describe,
}
_TYPES: Final = "clients/js/lib/wire.d.ts"
_LIBRARY: Final = "clients/js/lib/click-and-cook.js"
_SOURCES: Final = REPOSITORY / "clients" / "js" / "src"


class _Dumper(yaml.SafeDumper):
    """Writes every value where it stands: no anchors, which readers of diffs stumble over."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        """Never refer to an earlier value."""
        return True


def rendered() -> dict[str, str]:
    """Return the text of each file by its path in the repository."""
    documents = {
        name: f"# {_HEAD}\n"
        + yaml.dump(describe(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2)
        for name, describe in _DOCUMENTS.items()
    }
    sources = {path.name: path.read_text(encoding="utf-8") for path in _SOURCES.glob("*.js")}
    return {
        **documents,
        _TYPES: f"/** {_HEAD} */\n\n{typescript.describe()}",
        _LIBRARY: f"// {_LIBRARY_HEAD}\n\n{library.join(sources, 'client.js')}",
    }


def stale(folder: Path = REPOSITORY) -> list[str]:
    """Return the paths of the files that are not what the code says, or missing."""
    return [
        name
        for name, text in rendered().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Run the command; 1 when `--check` found a stale file."""
    parser = argparse.ArgumentParser(prog="python -m scripts.describe", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            print(f"{name} is stale: run `python -m scripts.describe`", file=sys.stderr)
        return 1 if names else 0
    for name, text in rendered().items():
        (REPOSITORY / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
