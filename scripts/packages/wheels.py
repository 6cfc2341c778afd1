"""Hold the locks against each Python and platform of the README: `python -m scripts.packages.wheels`.

Each pinned package must have a wheel for each of them, and each package that only some of them need must be
pinned too. The network is not asked: `wheels.lock`, which `make lock` writes, names the wheels, and the
metadata of the installed packages says what they need. With `--ask-pip` pip itself says whether it would
install the locks on each; it downloads every wheel.
"""

from __future__ import annotations

import argparse
import functools
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ROOT / "wheels.lock"
LOCKS: Final = ("requirements.lock", "requirements-embedded.lock", "requirements-dev.lock")
PYTHONS: Final = ((3, 11), (3, 12), (3, 13), (3, 14))
OLDEST_GLIBC: Final = (2, 28)
OLDEST_MACOS: Final = {"x86_64": (13, 0), "arm64": (13, 0)}
LATEST_MICRO: Final = 99
"""A package may be needed on some micro versions alone, as async-timeout is before 3.11.3."""

_PIN: Final = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+))?", re.MULTILINE
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Target:
    """One Python on one platform."""

    python: tuple[int, int]
    system: str
    machine: str

    def __str__(self) -> str:
        """Name it as the README does."""
        return f"Python {self.python[0]}.{self.python[1]} on {self.system} {self.machine}"

    @functools.cache  # noqa: B019  # there are sixteen
    def tags(self) -> frozenset[Tag]:
        """Return the tags of the wheels that it takes."""
        platforms = list(self.platforms())
        abi = f"cp{self.python[0]}{self.python[1]}"
        own = cpython_tags(self.python, abis=[abi], platforms=platforms)
        return frozenset([*own, *compatible_tags(self.python, abi, platforms)])

    def environments(self) -> Iterator[dict[str, str]]:
        """Return what markers are decided by: for the first micro version of this Python and for the last."""
        is_linux = self.system == "Linux"
        for micro in (0, LATEST_MICRO):
            version = f"{self.python[0]}.{self.python[1]}.{micro}"
            yield {
                "extra": "",
                "implementation_name": "cpython",
                "implementation_version": version,
                "os_name": "posix",
                "platform_machine": self.machine,
                "platform_python_implementation": "CPython",
                "platform_release": "",
                "platform_system": "Linux" if is_linux else "Darwin",
                "platform_version": "",
                "python_full_version": version,
                "python_version": f"{self.python[0]}.{self.python[1]}",
                "sys_platform": "linux" if is_linux else "darwin",
            }

    def platforms(self) -> Iterator[str]:
        """Return the platform tags that it takes, the newest first."""
        if self.system == "macOS":
            yield from mac_platforms(OLDEST_MACOS[self.machine], self.machine)
            return
        major, newest = OLDEST_GLIBC
        for minor in range(newest, 4, -1):
            yield f"manylinux_{major}_{minor}_{self.machine}"
        for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux"):
            yield f"{old}_{self.machine}"


MACHINES: Final = (("Linux", "x86_64"), ("Linux", "aarch64"), ("macOS", "x86_64"), ("macOS", "arm64"))
TARGETS: Final = tuple(Target(python, *machine) for machine in MACHINES for python in PYTHONS)


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    name: NormalizedName
    version: str
    marker: str
    hashes: frozenset[str]

    def wanted(self, target: Target) -> bool:
        """Tell whether the lock installs it there."""
        return not self.marker or _holds(Requirement(f"{self.name} ; {self.marker}"), target)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel by its name, as a line of wheels.lock has it: hash, the Pythons that it is for, file name."""

    file: str
    pythons: str
    sha256: str

    @property
    def package(self) -> tuple[NormalizedName, str]:
        """Its package and version."""
        name, version, _, _ = parse_wheel_filename(self.file)
        return name, str(version)

    def suits(self, target: Target) -> bool:
        """Tell whether pip would take it there."""
        first = f"{target.python[0]}.{target.python[1]}.0"
        tags = parse_wheel_filename(self.file)[3]
        return SpecifierSet(self.pythons).contains(first) and not tags.isdisjoint(target.tags())

    def line(self) -> str:
        """Return its line of wheels.lock."""
        return f"{self.sha256}  {self.pythons or '-'}  {self.file}\n"


def pins(lock: str) -> list[Pin]:
    """Return what a lock's text pins."""
    found = list(_PIN.finditer(lock))
    ends = [*(match.start() for match in found[1:]), len(lock)]
    return [
        Pin(
            canonicalize_name(match["name"]),
            match["version"],
            (match["marker"] or "").strip(),
            frozenset(_HASH.findall(lock, match.start(), end)),
        )
        for match, end in zip(found, ends, strict=True)
    ]


def wheels(names: str) -> list[Wheel]:
    """Return the wheels that the text of wheels.lock names."""
    lines = [line.split() for line in names.splitlines() if not line.startswith("#")]
    return [Wheel(file, "" if pythons == "-" else pythons, sha256) for sha256, pythons, file in lines]


def missing_wheels(pinned: Iterable[Pin], known: Iterable[Wheel]) -> Iterator[str]:
    """Say of each pinned package where it has no wheel whose hash the lock has."""
    by_package: dict[tuple[NormalizedName, str], list[Wheel]] = {}
    for wheel in known:
        by_package.setdefault(wheel.package, []).append(wheel)
    for pin in pinned:
        its = [wheel for wheel in by_package.get((pin.name, pin.version), []) if wheel.sha256 in pin.hashes]
        for target in TARGETS:
            if pin.wanted(target) and not any(wheel.suits(target) for wheel in its):
                yield f"{pin.name} {pin.version} has no wheel for {target}"


def missing_pins(pinned: Iterable[Pin], needs: Mapping[NormalizedName, Iterable[str]]) -> Iterator[str]:
    """Say which packages are needed somewhere and pinned nowhere; `needs` are each one's requirements."""
    by_name = {pin.name: pin for pin in pinned}
    for name, lines in needs.items():
        for requirement in map(Requirement, lines):
            needed = by_name.get(canonicalize_name(requirement.name))
            for target in TARGETS:
                if not _holds(requirement, target):
                    continue
                if needed is None or not needed.wanted(target):
                    yield f"{name} needs {requirement} on {target}, and it is not pinned"
                    break


def _holds(requirement: Requirement, target: Target) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate(environment) for environment in target.environments())


def _needs(pinned: Iterable[Pin]) -> dict[NormalizedName, list[str]]:
    """Return the requirements of the installed packages; one that only other Pythons need is not there."""
    needs: dict[NormalizedName, list[str]] = {}
    for pin in pinned:
        try:
            needs[pin.name] = metadata.requires(pin.name) or []
        except metadata.PackageNotFoundError:
            if not pin.marker:
                raise
    return needs


def faults() -> list[str]:
    """Return what is wrong with the locks, a sentence each; nothing where every target can be served."""
    locked = {name: pins((ROOT / name).read_text(encoding="utf-8")) for name in LOCKS}
    everything = [pin for name in LOCKS for pin in locked[name]]
    known = wheels(NAMES.read_text(encoding="utf-8"))
    return [
        *dict.fromkeys(missing_wheels(everything, known)),
        *dict.fromkeys(missing_pins(everything, _needs(everything))),
    ]


def pips_faults() -> list[str]:
    """Ask pip whether it would install the locks on each target; what it says where it would not.

    It decides markers by the Python that runs it, so packages that only others need are not tried.
    """
    said = []
    for target in TARGETS:
        platforms = [word for name in target.platforms() for word in ("--platform", name)]
        version = f"{target.python[0]}.{target.python[1]}"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", version]
        command += [*platforms, *(word for name in LOCKS for word in ("-r", str(ROOT / name)))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our words
        print(f"{target}: {'no' if done.returncode else 'yes'}", flush=True)
        if done.returncode:
            said.append(f"{target}: {done.stderr.strip().splitlines()[-1]}")
    return said


def main() -> int:
    """Print what is missing; 1 where something is."""
    parser = argparse.ArgumentParser(prog="python -m scripts.packages.wheels")
    parser.add_argument("--ask-pip", action="store_true", help="let pip try each, with the network")
    found = faults()
    if parser.parse_args().ask_pip:
        found += pips_faults()
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
