"""What is secret shows nowhere: not in the log, on no page for operators, in no list of processes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, player
from tests.support.raw_http import HANDSHAKE, everything_after

if TYPE_CHECKING:
    from collections.abc import Iterator

EMAIL = "very.private@example.com"
PASSWORD = "Tr0ub4dor and three"
SECRETS = ("access-secret-" * 4, "refresh-secret-" * 4)


@pytest.fixture
def game(module_databases: dict[str, str]) -> Iterator[GameServer]:
    """A server that says all it can, over external databases, with two workers."""
    chosen = {"ACCESS_TOKEN_SECRET": SECRETS[0], "REFRESH_TOKEN_SECRET": SECRETS[1], "LOG_LEVEL": "debug"}
    dsn = module_databases["DB_CONNECTION"].replace("postgres@", "postgres:db-secret-word@")
    settings = {**EXTERNAL, **module_databases, **chosen, "DB_CONNECTION": dsn, "WORKERS": "2"}
    with running_game(settings) as server:
        yield server


async def test_secrets_show_nowhere(game: GameServer) -> None:
    """Through log-ins, faults, theft and odd requests no secret, password, token or e-mail is written."""
    account = {"email": EMAIL, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=game.url, timeout=LIMIT_S) as client:
        tokens = (await client.post("/reg", json=account)).json()["tokens"]
        said = [
            await client.post("/reg", json=account),
            await client.post("/auth", json={**account, "password": PASSWORD + "!"}),
            await client.post("/auth", content=f'{{"email":"{EMAIL}","password":"{PASSWORD}'.encode()),
            await client.post("/refresh", headers={"Authorization": f"Basic {tokens['refresh_token']}"}),
            await client.post("/refresh", headers={"Authorization": f"Bearer {tokens['access_token']}"}),
            await client.get(f"/{tokens['access_token']}?token={tokens['refresh_token']}"),
            await client.post("/logout", headers={"Authorization": f"Bearer {tokens['refresh_token']}"}),
            await client.get("/metrics"),
            await client.get("/readyz"),
            await client.get("/healthz"),
        ]
    await everything_after(
        game, b"GET / HTTP/1.1\r\nAuthorization " + tokens["access_token"].encode() + b"\r\n\r\n"
    )
    await everything_after(
        game, HANDSHAKE + b"\x81\x85\0\0\0\0" + PASSWORD[:5].encode() + b"\x88\x80\0\0\0\0"
    )
    async with player(game, tokens["access_token"]) as anna:
        assert (await anna.ask("session"))["code"] == "token_invalid"
        await anna.socket.send(
            f'{{"request_id":"{PASSWORD}","password":"{PASSWORD}","token":"{tokens["access_token"]}'
        )
        assert (await anna.receive())["data"]["code"] == "invalid_message"
    hidden = (
        EMAIL,
        PASSWORD,
        *SECRETS,
        "db-secret-word",
        *tokens.values(),
        tokens["access_token"].split(".")[2],
    )
    answers = "\n".join(f"{answer.headers} {answer.text}" for answer in said)
    lines = "\n".join(command_lines(game))
    assert "server" in lines
    for secret in hidden:
        assert secret not in answers
        assert secret not in lines
    assert game.stop() == 0
    for secret in hidden:
        assert secret not in game.log
        assert secret.lower() not in game.log.lower()


def command_lines(game: GameServer) -> list[str]:
    """Return what a list of processes shows of everything that works in the server's folder."""
    lines = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd().startswith(str(game.folder)):
                lines.append(" ".join([process.name(), *process.cmdline()]))
    return lines
