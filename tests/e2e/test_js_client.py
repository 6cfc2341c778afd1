"""The JavaScript client library against real servers: in Node, and in Chromium under the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import shutil
import signal
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from scripts.chaos.links import Link
from tests.support.browser import until_each_counted, visitor
from tests.support.game_server import POLL_S, REPOSITORY, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIBRARY: Final = REPOSITORY / "clients" / "js"
NODE: Final = shutil.which("node") or ""
NPM: Final = shutil.which("npm") or ""
needs_node = pytest.mark.skipif(not NODE, reason="Node.js is not installed")
needs_npm = pytest.mark.skipif(not (NODE and NPM), reason="npm is not installed")
# Node has a WebSocket behind this switch from 20.10, and without it from 22.
WITH_WEBSOCKET: Final = ("--experimental-websocket", "--no-warnings")


@needs_npm
def test_the_package_plays_the_readmes_ten_lines(game: GameServer, tmp_path: Path) -> None:
    """`npm pack` has all that the lines of the README need; in an empty folder they play."""
    pack = [NPM, "pack", "--silent", "--pack-destination", str(tmp_path)]
    subprocess.run(pack, cwd=LIBRARY, check=True, timeout=LIMIT_S, stdout=subprocess.DEVNULL)
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as files:
        files.extractall(tmp_path, filter="data")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "package").rename(tmp_path / "node_modules" / "click-and-cook")
    (lines,) = re.findall(r"```js\n(.*?)```", (LIBRARY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(lines.strip().replace("\n\n", "\n").splitlines()) <= 10
    (tmp_path / "ten.mjs").write_text(lines.replace("http://127.0.0.1:1323", game.url))
    done = subprocess.run(
        [NODE, *WITH_WEBSOCKET, "ten.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "100 earned, 0 requests not answered" in done.stdout


@needs_node
async def test_nothing_is_lost_or_doubled_under_kills_and_pauses(module_databases: dict[str, str]) -> None:
    """A server that is killed, stopped and woken under Node's clicks has each of them once in the end."""
    with running_game({**EXTERNAL, **module_databases}) as server:
        async with clicking(server.url) as clicker:
            await clicker.said.readuntil(b"answered 500\n")
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await clicker.said.readuntil(b"answered 1000\n")
            server.send(signal.SIGSTOP)
            await clicker.said.readuntil(b"broken\n")  # it has given the silent connection up
            server.send(signal.SIGCONT)
            assert await clicker.counted_once() >= 3


@needs_node
async def test_nothing_is_lost_or_doubled_where_the_server_moves(
    game: GameServer, module_databases: dict[str, str]
) -> None:
    """Behind one address another process answers, four times; Node's clicks count once each."""
    with running_game({**EXTERNAL, **module_databases}) as other:
        address = Link("address", [game.port], random.Random(1))
        await address.open()
        async with clicking(f"http://127.0.0.1:{address.port}") as clicker:
            for number, target in enumerate((other, game, other, game)):
                await clicker.said.readuntil(b"answered %d\n" % (100 + 200 * number))
                address.targets = [target.port]
                while not address.break_all():  # noqa: ASYNC110 - it may just be connecting again
                    await asyncio.sleep(POLL_S)
            assert await clicker.counted_once() >= 5
        await address.close()


@dataclass(frozen=True, slots=True)
class Clicker:
    """A running `cook_many.js`: what it writes, and its input, at whose end it stops."""

    said: asyncio.StreamReader
    input: asyncio.StreamWriter

    async def counted_once(self) -> int:
        """Stop it and check that each click was answered and applied once; return how often it connected."""
        self.input.close()
        seen: dict[str, int] = json.loads((await self.said.read()).splitlines()[-1])
        assert seen == {
            **dict.fromkeys(("wentBack", "lost", "refused", "unsent"), 0),
            **dict.fromkeys(("answered", "expected", "dishes", "clicks"), seen["clicks"]),
            **{name: seen[name] for name in ("duplicates", "resent", "connections")},
        }
        assert seen["clicks"] > 0
        return seen["connections"]


@contextlib.asynccontextmanager
async def clicking(url: str) -> AsyncIterator[Clicker]:
    """Run `cook_many.js`; it must have ended by the end of the block."""
    script = REPOSITORY / "tests" / "web" / "cook_many.js"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        NODE, *WITH_WEBSOCKET, str(script), url, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            yield Clicker(process.stdout, process.stdin)
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_clicks_in_a_throttled_and_frozen_tab_count_once(game: GameServer) -> None:
    """Timers that run once a second, a freeze in the middle of clicking, and a thaw: nothing is lost."""
    clicks = "for (let i = 0; i < 20; i++) document.getElementById('cook').click()"
    slow = "1000 * Math.ceil((ms || 1) / 1000)"
    throttle = f"const late = setTimeout; setTimeout = (act, ms) => late(act, {slow})"
    async with visitor(game.url) as anna:
        await anna.context.add_init_script(throttle)
        page = await anna.register("frozen@example.com")
        await page.locator(".item button").first.click()
        lifecycle = await anna.context.new_cdp_session(page)
        await page.evaluate(clicks)
        await lifecycle.send("Page.setWebLifecycleState", {"state": "frozen"})
        await lifecycle.send("Page.setWebLifecycleState", {"state": "active"})
        await page.evaluate(clicks)
        await page.wait_for_selector("#link.connected")
        await until_each_counted(game, page, 40)
        assert anna.complaints == []
