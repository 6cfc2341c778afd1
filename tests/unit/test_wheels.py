"""The locks serve every Python and platform that the README names, and what a lock lacks is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.utils import canonicalize_name

from scripts.packages.wheels import (
    MACHINES,
    OLDEST_GLIBC,
    OLDEST_MACOS,
    PYTHONS,
    TARGETS,
    Pin,
    Wheel,
    faults,
    missing_pins,
    missing_wheels,
    pins,
    wheels,
)

ROOT: Final = Path(__file__).parent.parent.parent
HASH: Final = "a" * 64
OTHER_HASH: Final = "b" * 64


def _pin(marker: str = "", hashes: frozenset[str] = frozenset({HASH})) -> Pin:
    return Pin(canonicalize_name("spoon"), "1.0", marker, hashes)


def _missing(pin: Pin, *files: str, pythons: str = "") -> list[str]:
    return list(missing_wheels([pin], [Wheel(file, pythons, HASH) for file in files]))


def test_every_target_is_served() -> None:
    """No pinned package lacks a wheel anywhere, and none needs one that is not pinned."""
    assert faults() == []


def test_the_readme_names_what_is_checked() -> None:
    """Its sentence has the same Pythons, systems and processors."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(
        r"Python 3\.(\d+) to 3\.(\d+) and make, on Linux \(glibc (\d+)\.(\d+) or newer\) "
        r"or macOS \((\d+) or newer\), on x86_64 or ARM64",
        readme.replace("\n", " "),
    )
    assert found is not None
    first, last, *glibc, macos = (int(number) for number in found.groups())
    assert tuple((3, minor) for minor in range(first, last + 1)) == PYTHONS
    assert tuple(glibc) == OLDEST_GLIBC
    assert {(macos, 0)} == set(OLDEST_MACOS.values())
    assert {("Linux", "x86_64"), ("Linux", "aarch64"), ("macOS", "x86_64"), ("macOS", "arm64")} == set(
        MACHINES
    )


def test_a_wheel_for_all_serves_all() -> None:
    """One `py3-none-any` is enough for the sixteen targets."""
    assert len(TARGETS) == 16
    assert _missing(_pin(), "spoon-1.0-py3-none-any.whl") == []


def test_a_platform_without_a_wheel_is_named() -> None:
    """Wheels of musl, of a newer glibc and of a newer macOS serve no target."""
    said = _missing(
        _pin(),
        "spoon-1.0-py3-none-manylinux_2_28_x86_64.whl",
        "spoon-1.0-py3-none-manylinux_2_39_aarch64.whl",
        "spoon-1.0-py3-none-musllinux_1_2_aarch64.whl",
        "spoon-1.0-py3-none-macosx_11_0_arm64.whl",
        "spoon-1.0-py3-none-macosx_15_0_x86_64.whl",
    )
    assert len(said) == 8
    assert "spoon 1.0 has no wheel for Python 3.14 on Linux aarch64" in said
    assert "spoon 1.0 has no wheel for Python 3.11 on macOS x86_64" in said


def test_a_python_without_a_wheel_is_named() -> None:
    """A stable ABI serves later Pythons, one Python's own wheel no other, and `Requires-Python` counts."""
    platforms = ("manylinux2014_x86_64", "manylinux2014_aarch64", "macosx_11_0_universal2")
    stable = [f"spoon-1.0-cp312-abi3-{platform}.whl" for platform in platforms]
    said = _missing(_pin(), *stable)
    assert len(said) == 4
    assert all("Python 3.11 on" in line for line in said)
    own = [f"spoon-1.0-cp313-cp313-{platform}.whl" for platform in platforms]
    assert len(_missing(_pin(), *own)) == 12
    assert len(_missing(_pin(), "spoon-1.0-py3-none-any.whl", pythons=">=3.12")) == 4


def test_a_wheel_that_the_lock_does_not_know_serves_nobody() -> None:
    """For its hash pip would refuse it."""
    assert len(_missing(_pin(hashes=frozenset({OTHER_HASH})), "spoon-1.0-py3-none-any.whl")) == 16


def test_a_package_for_some_pythons_needs_wheels_there_alone() -> None:
    """A marker says where the lock installs it; one of a micro version counts for its Python."""
    assert _missing(_pin("python_full_version < '3.11.3'"), "spoon-1.0-cp311-none-any.whl") == []
    assert len(_missing(_pin("python_version >= '3.14'"))) == 4


@pytest.mark.parametrize(
    ("need", "is_missing"),
    [
        ("fork", True),
        ("fork>=2; python_full_version < '3.11.3'", True),
        ("fork; python_version >= '3.14'", True),
        ("fork; platform_machine == 'aarch64' and sys_platform == 'linux'", True),
        ("fork; sys_platform == 'darwin'", True),
        ("fork; python_version < '3.11'", False),
        ("fork; sys_platform == 'win32'", False),
        ("fork; extra == 'silver'", False),
        ("Spoon>=1", False),
    ],
)
def test_what_only_another_python_needs_must_be_pinned(need: str, is_missing: bool) -> None:
    """A lock made by one Python leaves out what another one needs, and pip would refuse to install there."""
    said = list(missing_pins([_pin()], {canonicalize_name("spoon"): [need]}))
    assert bool(said) is is_missing
    assert all("it is not pinned" in line for line in said)


def test_a_lock_and_the_list_of_wheels_are_read() -> None:
    """Names, versions, markers and hashes of each pin; a wheel's line is what it was read from."""
    lock = (
        f"# by pip\nspoon==1.0 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{OTHER_HASH}\n    # via x\n"
        f'fork==2 ; python_version < "3.12" \\\n    --hash=sha256:{HASH}\n'
    )
    spoon, fork = pins(lock)
    assert spoon == _pin(hashes=frozenset({HASH, OTHER_HASH}))
    assert (fork.version, fork.marker, fork.hashes) == ("2", 'python_version < "3.12"', frozenset({HASH}))
    names = f"# head\n{HASH}  -  spoon-1.0-py3-none-any.whl\n{HASH}  >=3.9  fork-2-py3-none-any.whl\n"
    assert [wheel.line() for wheel in wheels(names)] == names.splitlines(keepends=True)[1:]


def _packages(lines: list[str]) -> list[str]:
    return [found[0] for line in lines if (found := re.match(r"[a-z][a-z0-9-]+", line))]


def test_pyproject_names_what_the_server_runs_on() -> None:
    """Tools that read pyproject.toml see the packages of requirements.in, in its order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    server, embedded = (
        _packages((ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines())
        for name in ("requirements", "requirements-embedded")
    )
    assert project["dependencies"] == server
    assert project["optional-dependencies"]["embedded"] == embedded
    assert project["requires-python"] == ">=3.11"
