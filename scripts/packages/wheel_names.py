"""Write wheels.lock, the names of the pinned packages' wheels: `python -m scripts.packages.wheel_names`.

`make lock` does. They come from the package index that pip is set up to use, with the hashes that it gives.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from piptools.locations import CACHE_DIR
from piptools.repositories import PyPIRepository

from scripts.packages.wheels import LOCKS, NAMES, ROOT, TARGETS, Pin, Wheel, pins

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = """# Wheels of the pinned packages for the README's Pythons and platforms: hash, Pythons, file.
# Written by `make lock`; `make check` holds the locks against it.
"""


def _wheels_of(pin: Pin, repository: PyPIRepository) -> Iterator[Wheel]:
    """Ask the index for the wheels of one package that a target takes."""
    for candidate in repository.find_all_candidates(pin.name):
        link = candidate.link
        if (
            str(candidate.version) == pin.version
            and link.is_wheel
            and link.hash_name == "sha256"
            and link.hash
        ):
            pythons = (link.requires_python or "").replace(" ", "")
            wheel = Wheel(link.filename, pythons, link.hash)
            if any(wheel.suits(target) for target in TARGETS):
                yield wheel


def main() -> int:
    """Write the list."""
    argparse.ArgumentParser(
        prog="python -m scripts.packages.wheel_names",
        description=f"Write {NAMES.name} from the package index.",
    ).parse_args()
    pinned = {pin.name: pin for name in LOCKS for pin in pins((ROOT / name).read_text(encoding="utf-8"))}
    repository = PyPIRepository([], cache_dir=CACHE_DIR)
    with repository.allow_all_wheels():
        found = {wheel for pin in pinned.values() for wheel in _wheels_of(pin, repository)}
    lines = [wheel.line() for wheel in sorted(found, key=lambda wheel: wheel.file)]
    NAMES.write_text(_HEAD + "".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
