"""HTTP as openapi.yaml describes it, asked hundreds of odd questions by a client that knows only it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.doc_examples import DOCS
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.mail_server import running_mail_server
from tests.support.players import EXTERNAL, register

if TYPE_CHECKING:
    from collections.abc import Iterator

FUZZER = Path(sys.executable).parent / "schemathesis"
WITHIN_S = 10 * LIMIT_S


@pytest.fixture(scope="module")
def game(module_databases: dict[str, str]) -> Iterator[GameServer]:
    """A server that can send mail: without, 503 is the right answer of `/forgot`."""
    with running_mail_server() as mail_server:
        mail = {
            "SMTP_URL": f"smtp://127.0.0.1:{mail_server.port}",
            "MAIL_FROM": "game@example.com",
            "PUBLIC_URL": "https://play.example",
        }
        with running_game({**EXTERNAL, **module_databases, **mail}) as server:
            yield server


def _fuzz(game: GameServer, folder: Path, document: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # /ws answers every plain request with 426, which is right and no success.
    chosen = ["--seed", "1", "--max-examples", "8", "--phases", "coverage,fuzzing", "--exclude-path", "/ws"]
    # A schema counts characters, so a password it takes may still have too many bytes.
    chosen += ["--exclude-checks", "positive_data_acceptance"]
    chosen += [
        "--suppress-health-check",
        "too_slow",
        "--continue-on-failure",
        "--no-color",
        "--request-timeout",
        str(LIMIT_S),
        *options,
    ]
    return subprocess.run(
        [str(FUZZER), "run", str(document), "--url", game.url, *chosen],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


@pytest.mark.parametrize("logged_in", [False, True], ids=["without a log-in", "a player"])
def test_no_request_gets_an_answer_that_is_not_described(
    game: GameServer, tmp_path: Path, *, logged_in: bool
) -> None:
    """Whatever the fuzzer sends, status, type, headers and body are as described, and nothing is a 500."""
    token = register(game)["access_token"]
    bearer = ["--header", f"Authorization: Bearer {token}"] if logged_in else []
    done = _fuzz(game, tmp_path, DOCS / "openapi.yaml", *bearer)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert "17 passed" in done.stdout


def test_the_fuzzer_finds_a_description_that_is_wrong(game: GameServer, tmp_path: Path) -> None:
    """A document that promises other answers than the server gives does not pass."""
    wrong = tmp_path / "wrong.yaml"
    text = (DOCS / "openapi.yaml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("const: ok", "const: fine"), encoding="utf-8")
    done = _fuzz(game, tmp_path, wrong, "--include-path", "/healthz")
    assert done.returncode == 1
    assert "response violates schema" in done.stdout.lower()
