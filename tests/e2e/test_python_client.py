"""The Python library against a real server: installed, killed, paused, drained, limited, expired, revoked."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from clients.python.clickcook import (
    AccountRefused,
    Client,
    FileStore,
    LoggedOut,
    Lost,
    MemoryStore,
    NotSent,
    Options,
    Push,
    Refuse,
    Send,
    StatusChanged,
    Tokens,
    connect,
)
from game.session import UserId
from scripts.chaos.links import Link
from server.auth.tokens import ACCESS_TTL_S, TokenSigner
from tests.support.game_server import POLL_S, REPOSITORY, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, register

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = Options(retry_first_ms=20, retry_most_ms=200, renew_again_ms=50)
LIBRARY = REPOSITORY / "clients" / "python"


def player(server: GameServer, name: str) -> Client:
    """Make a client with an account of its own."""
    return connect(server.url, email=f"{name}@example.com", password=PASSWORD, options=OPTIONS)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """An empty folder into which the built package was installed, and nothing else of ours."""
    source, built, folder = tmp_path / "source", tmp_path / "built", tmp_path / "installed"
    shutil.copytree(LIBRARY, source, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(source)]
    subprocess.run(build, capture_output=True, timeout=LIMIT_S, check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    (wheel,) = built.iterdir()
    subprocess.run([*install, "--target", str(folder), str(wheel)], timeout=LIMIT_S, check=True)
    return folder


def test_ten_lines_play(game: GameServer, installed: Path) -> None:
    """The program in the README, as it stands, with the package installed from its wheel."""
    readme = (LIBRARY / "README.md").read_text(encoding="utf-8")
    ((program,),) = [re.findall(r"```python\n(.*?)```", readme, re.DOTALL)]
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    done = subprocess.run(
        [sys.executable, "-c", program.replace("http://127.0.0.1:1323", game.url)],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Cooked(") == 10
    assert "Sold(dishes=5, money=5" in done.stdout
    assert (installed / "clickcook" / "py.typed").exists()


async def test_killed_and_paused_a_server_loses_and_doubles_nothing(
    module_databases: dict[str, str],
) -> None:
    """Two players who never rest, while the server is paused and killed by turns."""
    with running_game({**EXTERNAL, **module_databases}) as server:
        async with player(server, "steady") as one, player(server, "hasty") as other:
            resent, lost = [], []
            for client in (one, other):
                client.subscribe(lambda event: resent.append(event) if is_resent(event) else None)
                client.subscribe(lambda event: lost.append(event) if isinstance(event, Lost) else None)
                await client.upgrade_buy(1)
            stop = asyncio.Event()
            plays = [asyncio.create_task(cook(client, stop)) for client in (one, other)]
            for number in range(4):
                await some_answers(one, 150)
                server.send(signal.SIGSTOP)
                if number % 2:
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                else:
                    await asyncio.sleep(0.3)
                    server.send(signal.SIGCONT)
            stop.set()
            async with asyncio.timeout(3 * LIMIT_S):
                for client, requests in zip((one, other), await asyncio.gather(*plays), strict=True):
                    await client.session()
                    assert client.state is not None
                    assert client.state.dishes == 2 * requests
                    assert client.unanswered == 0
            assert lost == []
            assert len(resent) > 0


async def test_a_server_that_moves_loses_and_doubles_nothing(
    game: GameServer, module_databases: dict[str, str]
) -> None:
    """Behind one address another process answers, four times; what was on its way counts once."""
    with running_game({**EXTERNAL, **module_databases}) as other:
        address = Link("address", [game.port], random.Random(1))
        await address.open()
        url = f"http://127.0.0.1:{address.port}"
        moved = connect(url, email="moved@example.com", password=PASSWORD, options=OPTIONS)
        async with moved as client, asyncio.timeout(3 * LIMIT_S):
            resent, lost = [], []
            client.subscribe(lambda event: resent.append(event) if is_resent(event) else None)
            client.subscribe(lambda event: lost.append(event) if isinstance(event, Lost) else None)
            await client.upgrade_buy(1)
            stop = asyncio.Event()
            playing = asyncio.create_task(cook(client, stop))
            for target in (other, game, other, game):
                await some_answers(client, 150)
                address.targets = [target.port]
                while not address.break_all():  # noqa: ASYNC110 - it may just be connecting again
                    await asyncio.sleep(POLL_S)
            stop.set()
            requests = await playing
            await client.session()
            assert client.state is not None
            assert client.state.dishes == 2 * requests
            assert lost == []
            assert len(resent) > 0
        await address.close()


def is_resent(event: object) -> bool:
    """Whether a request is sent for more than the first time."""
    return isinstance(event, Send) and event.times_sent > 1


async def cook(client: Client, stop: asyncio.Event) -> int:
    """Send pipelined cooks of two dishes each until told to stop, wait for all answers, and count them."""
    futures = []
    while not stop.is_set():
        futures.append(await client.send("cook", count=2))
    answers = await asyncio.gather(*futures)
    assert {answer.code for answer in answers} == {""}
    return len(answers)


async def some_answers(client: Client, count: int) -> None:
    """Wait until so many more dishes are cooked than now."""
    enough = asyncio.Event()
    before = client.state.dishes if client.state else 0

    def hear(_event: object) -> None:
        if client.state is not None and client.state.dishes >= before + count:
            enough.set()

    leave = client.subscribe(hear)
    async with asyncio.timeout(LIMIT_S):
        await enough.wait()
    leave()


async def test_a_draining_server_is_left_and_found_again(module_databases: dict[str, str]) -> None:
    """Close code 1001: the client comes back, what was unanswered is sent again."""
    with running_game({**EXTERNAL, **module_databases}) as server:
        async with player(server, "drained") as client:
            reasons = []
            client.subscribe(
                lambda event: (
                    reasons.append(event.status.reason) if isinstance(event, StatusChanged) else None
                )
            )
            await client.upgrade_buy(1)
            waiting = [await client.send("cook") for _ in range(60)]
            assert await asyncio.to_thread(server.stop) == 0
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(*waiting)
                await client.session()
            assert client.state is not None
            assert client.state.dishes == 60
            assert "going_away" in reasons


async def test_a_rate_limit_is_waited_for(module_databases: dict[str, str]) -> None:
    """More clicks than the limit lets pass are refused, held back and sent again until all count."""
    settings = {**EXTERNAL, **module_databases, "CLICK_RATE": "2", "CLICK_BURST": "10"}
    with running_game(settings) as server:
        async with player(server, "limited") as client, asyncio.timeout(LIMIT_S):
            sent: list[object] = []
            await client.upgrade_buy(1)
            client.subscribe(lambda event: sent.append(event) if is_resent(event) else None)
            client.subscribe(lambda event: sent.append(event) if isinstance(event, Refuse) else None)
            clicks = 0
            while not sent:  # a busy machine may make so many clicks within the limit
                await asyncio.gather(*[client.cook() for _ in range(13)])
                clicks += 13
            await client.session()
            assert client.state is not None
            assert client.state.dishes == clicks
            assert not any(isinstance(event, Refuse) for event in sent)


def expired(tokens: dict[str, str]) -> Tokens:
    """Spoil the access token of a pair: its time is over. The refresh token is good."""
    good = Tokens(tokens["access_token"], tokens["refresh_token"])
    signer = TokenSigner([EXTERNAL["ACCESS_TOKEN_SECRET"]], [EXTERNAL["REFRESH_TOKEN_SECRET"]])
    long_ago_s = int(time.time()) - ACCESS_TTL_S - 1
    return Tokens(signer.issue_pair(UserId(good.user_id), "f", "j", long_ago_s).access_token, good.refresh)


async def test_an_expired_token_is_renewed_and_the_requests_sent_again(game: GameServer) -> None:
    """The player notices nothing but a moment's wait, and the store has the new pair."""
    store = MemoryStore(expired(register(game)))
    before = store.load()
    async with connect(game.url, store=store, options=OPTIONS) as client, asyncio.timeout(LIMIT_S):
        await client.upgrade_buy(1)
        assert (await client.cook()).applied == 1
    assert store.load() not in (None, before)


async def test_a_revoked_log_in_is_begun_again_where_the_password_is_known(game: GameServer) -> None:
    """Close code 4001, its refresh token dead: the client logs in with e-mail and password, and plays on."""
    async with player(game, "revoked") as client, asyncio.timeout(LIMIT_S):
        await client.upgrade_buy(1)
        before = client.tokens
        assert before is not None
        await connect(game.url, store=MemoryStore(before)).log_out()
        while client.tokens == before:
            await client.request("session")
        await client.cook()
        assert client.state is not None
        assert client.state.dishes == 1


async def test_a_revoked_log_in_ends_the_conversation_where_it_is_not(game: GameServer) -> None:
    """Those who wait hear that it ended, the store is empty, and a new log-in plays on."""
    tokens = register(game, "ended@example.com")
    store = MemoryStore(Tokens(tokens["access_token"], tokens["refresh_token"]))
    async with connect(game.url, store=store, options=OPTIONS) as client, asyncio.timeout(LIMIT_S):
        await client.upgrade_buy(1)
        await connect(game.url, store=MemoryStore(store.load())).log_out(everywhere=True)
        with pytest.raises((LoggedOut, NotSent)):
            await ask_for_ever(client)
        with pytest.raises(LoggedOut):
            await client.session()
        assert store.load() is None
        await client.log_in("ended@example.com", PASSWORD)
        assert (await client.cook()).dishes == 1


async def ask_for_ever(client: Client) -> None:
    """Ask for the session until that fails."""
    while True:
        await client.session()


async def test_a_guest_becomes_a_player_and_comes_back_in_another_process(
    game: GameServer, tmp_path: Path
) -> None:
    """Play goes on while the account is claimed; a file keeps the log-in; refusals of accounts are typed."""
    store = FileStore(tmp_path / "log-in.json")
    async with asyncio.timeout(LIMIT_S):
        async with connect(game.url, store=store, options=OPTIONS) as client:
            await client.guest()
            await client.upgrade_buy(1)
            await client.claim("claimed@example.com", PASSWORD)
            await client.cook()
            with pytest.raises(AccountRefused) as refused:
                await client.claim("claimed2@example.com", PASSWORD)
            assert (refused.value.http_status, refused.value.status) == (409, 9)
            with pytest.raises(AccountRefused, match="invalid user info"):
                await client.log_in("claimed@example.com", "another password")
        async with connect(game.url, store=FileStore(tmp_path / "log-in.json"), options=OPTIONS) as client:
            assert (await client.cook()).dishes == 2
            assert client.state is not None
            assert client.state.email == "claimed@example.com"
            await client.log_out()
        assert store.load() is None


async def test_what_one_process_left_unanswered_the_next_one_sends_once(game: GameServer) -> None:
    """Each request counts once, whether its answer had come or not."""
    async with asyncio.timeout(LIMIT_S):
        store = MemoryStore()
        async with connect(game.url, store=store, options=OPTIONS) as first:
            await first.register("kept@example.com", PASSWORD)
            await first.upgrade_buy(1)
            for _ in range(40):
                await first.send("cook")
            kept = first.kept()
            await first.close(within_s=0)
        assert len(kept.waiting) > 0
        async with connect(game.url, store=store, kept=kept, options=OPTIONS) as second:
            await second.drained()
            await second.session()
            assert second.state is not None
            assert second.state.dishes == 40


async def test_one_client_hears_what_another_of_the_same_player_does(game: GameServer) -> None:
    """A copy of a change arrives as a push, and the state follows."""
    heard: asyncio.Queue[Push] = asyncio.Queue()
    async with asyncio.timeout(LIMIT_S), player(game, "pair") as listener:
        listener.subscribe(lambda event: heard.put_nowait(event) if isinstance(event, Push) else None)
        await listener.session()
        async with connect(game.url, store=listener.account.store, options=OPTIONS) as client:
            await client.upgrade_buy(1)
            await client.cook(4)
        while (await heard.get()).request_type != "cook":
            pass
        assert listener.state is not None
        assert listener.state.dishes == 4
