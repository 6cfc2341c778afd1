"""The high-frequency client against a real server: each request is answered in the end and counts once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import orjson
import pytest

from game.session import UserId
from scripts.clicker.accounts import PasswordAccount, Tokens
from scripts.clicker.book import read_book
from scripts.clicker.client import Client, Habits
from scripts.clicker.player import Player
from scripts.clicker.view import View
from server.auth.tokens import ACCESS_TTL_S, TokenSigner
from tests.support.game_server import REPOSITORY, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, register
from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.clicker.window import Answer, Pending

HABITS = Habits(retry_first_s=0.02, retry_most_s=0.2)


def account(server: GameServer, email: str) -> PasswordAccount:
    """Name an account by its e-mail; it is opened at the first log-in."""
    return PasswordAccount(server.url, email, PASSWORD)


async def dishes(client: Client) -> int:
    """Ask for the player's dishes."""
    answer = await client.request("session")
    count: int = answer["session"]["dishes"]
    return count


async def begin(client: Client) -> None:
    """Buy the first dish."""
    await client.request("session")
    await client.request("upgrade_buy", id=1)


async def test_a_killed_server_loses_and_doubles_nothing(module_databases: dict[str, str]) -> None:
    """Kill -9 under pipelined cooks: after the restart all are answered, and each counted once."""
    with running_game({**EXTERNAL, **module_databases}) as server:
        async with Client(server.url, account(server, "killed@example.com"), HABITS) as client:
            await begin(client)
            waiting = [await client.send("cook", count=3) for _ in range(30)]
            await waiting[5]
            # However fast it is: some of the requests are certainly unanswered when it dies.
            server.send(signal.SIGSTOP)
            waiting += [await client.send("cook", count=3) for _ in range(30)]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(LIMIT_S):
                answers = await asyncio.gather(*waiting)
            assert [answer.code for answer in answers] == [""] * 60
            assert await dishes(client) == 180
            assert (client.totals.lost, client.totals.went_back) == (0, [])
            assert client.totals.resent > 0


async def test_a_draining_server_is_left_and_found_again(module_databases: dict[str, str]) -> None:
    """Close code 1001: the client comes back, what was unanswered is sent again."""
    with running_game({**EXTERNAL, **module_databases}) as server:
        async with Client(server.url, account(server, "drained@example.com"), HABITS) as client:
            await begin(client)
            waiting = [await client.send("cook") for _ in range(60)]
            assert await asyncio.to_thread(server.stop) == 0
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(*waiting)
            assert await dishes(client) == 60
            assert client.totals.closes[1001] == 1


class ExpiringAccount(PasswordAccount):
    """Logs in with an access token whose time is over; its refresh token is good."""

    async def log_in(self) -> Tokens:
        """Log in, and spoil the access token."""
        tokens = await super().log_in()
        signer = TokenSigner([EXTERNAL["ACCESS_TOKEN_SECRET"]], [EXTERNAL["REFRESH_TOKEN_SECRET"]])
        long_ago_s = int(time.time()) - ACCESS_TTL_S - 1
        return Tokens(
            signer.issue_pair(UserId(tokens.user_id), "f", "j", long_ago_s).access_token, tokens.refresh
        )


async def test_an_expired_token_is_renewed_and_the_requests_sent_again(game: GameServer) -> None:
    """The player notices nothing but a moment's wait."""
    anna = ExpiringAccount(game.url, "expired@example.com", PASSWORD)
    async with Client(game.url, anna, HABITS) as client:
        await begin(client)
        assert (await client.request("cook"))["applied"] == 1
        assert client.totals.errors["token_invalid"] > 0


async def test_a_revoked_log_in_is_begun_anew(game: GameServer) -> None:
    """Close code 4001, its refresh token dead: the client logs in with e-mail and password."""
    async with Client(game.url, account(game, "revoked@example.com"), HABITS) as client:
        await begin(client)
        before = client.tokens
        assert before is not None
        headers = {"Authorization": f"Bearer {before.refresh}"}
        assert (
            await asyncio.to_thread(httpx.post, f"{game.url}/logout", headers=headers, timeout=LIMIT_S)
        ).status_code == 200
        async with asyncio.timeout(LIMIT_S):
            while client.totals.closes[4001] == 0:
                await client.request("session")
            await client.request("cook")
            assert await dishes(client) == 1
        assert client.tokens != before


async def test_a_rate_limit_is_waited_for(module_databases: dict[str, str]) -> None:
    """More clicks than the limit lets pass are refused, held back and sent again until all count."""
    settings = {**EXTERNAL, **module_databases, "CLICK_RATE": "40", "CLICK_BURST": "10"}
    with running_game(settings) as server:
        async with Client(server.url, account(server, "hasty@example.com"), HABITS) as client:
            await begin(client)
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(*[await client.send("cook") for _ in range(20)])
            assert await dishes(client) == 20
            assert client.totals.errors["rate_limited"] > 0


async def test_one_client_hears_what_another_of_the_same_player_does(game: GameServer) -> None:
    """Pushes arrive by type and data."""
    heard: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue()
    tokens = await asyncio.to_thread(register, game, "pair@example.com")
    assert tokens
    anna = account(game, "pair@example.com")
    async with (
        Client(game.url, anna, HABITS, on_push=lambda kind, data: heard.put_nowait((kind, data))) as listener,
        Client(game.url, anna, HABITS) as client,
    ):
        await listener.request("session")
        await begin(client)
        await client.request("cook", count=4)
        async with asyncio.timeout(LIMIT_S):
            while (push := await heard.get())[0] != "cook":
                pass
        assert push[1]["dishes"] == 4


async def test_the_player_plays_a_sensible_game(game: GameServer) -> None:
    """At 1,000 clicks a second upgrades are bought and ranks gained within seconds."""
    view, stop = View(), asyncio.Event()

    def settled(_pending: Pending, answer: Answer) -> None:
        if not answer.code:
            view.take(answer.request_type, answer.data)
        if view.session.rank >= 3 and sum(view.session.bought.values()) >= 5:
            stop.set()

    async with Client(game.url, account(game, "sensible@example.com"), HABITS, on_settled=settled) as client:
        player = Player(client, view, clicks_per_second=1000, most_count=100)
        async with asyncio.timeout(LIMIT_S):
            await player.play(stop)
        told = View()
        told.take("session", await client.request("session"))
    assert told.session == view.session


def test_the_command_plays_and_writes_its_book(game: GameServer, tmp_path: Path) -> None:
    """Plain lines without a terminal, exit code 0, and every answered request in the book."""
    book = tmp_path / "book.jsonl"
    command = [sys.executable, "-m", "scripts.clicker", "--url", game.url, "--users", "3", "--cps", "40"]
    command += ["--for", "3", "--no-buy", "--book", str(book)]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "users 3, clicks/s" in ended.stdout
    assert "lost 0" in ended.stdout
    entries = list(read_book(book))
    assert len({entry.player for entry in entries}) == 3
    assert sum(entry.answered.get("applied", 0) for entry in entries) > 100
    assert all(orjson.loads(line)[0].startswith("clicker-") for line in book.read_bytes().splitlines())


def test_the_command_fails_where_no_account_can_be_had(game: GameServer) -> None:
    """Exit code 2 and the server's reason."""
    command = [sys.executable, "-m", "scripts.clicker", "--url", game.url, "--email", "nobody", "--for", "5"]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 2
    assert "mail" in ended.stdout


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}", "http://nobody.invalid:{}", "127.0.0.1:{}"])
def test_the_command_says_at_once_that_nobody_answers(address: str) -> None:
    """A dead port, an unknown host, an address without a scheme: one line with the reason, exit code 2."""
    url = address.format(free_port())
    command = [sys.executable, "-m", "scripts.clicker", "--url", url, "--for", "600"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.startswith(f"nobody answers at {url}: ")
    assert ended.stdout.count("\n") == 1
