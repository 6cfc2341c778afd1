"""The JavaScript client library against real servers: in Node, and in Chromium under the page."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.browser import until_each_counted, visitor
from tests.support.game_server import REPOSITORY, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY: Final = REPOSITORY / "clients" / "js"
NODE: Final = shutil.which("node") or ""
NPM: Final = shutil.which("npm") or ""
needs_node = pytest.mark.skipif(not NODE, reason="Node.js is not installed")
needs_npm = pytest.mark.skipif(not (NODE and NPM), reason="npm is not installed")
# Node has a WebSocket behind this switch from 20.10, and without it from 22.
WITH_WEBSOCKET: Final = ("--experimental-websocket", "--no-warnings")
CLICKS: Final = 2000


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
        clicker = await asyncio.create_subprocess_exec(
            NODE,
            *WITH_WEBSOCKET,
            str(REPOSITORY / "tests" / "web" / "cook_many.js"),
            server.url,
            str(CLICKS),
            stdout=asyncio.subprocess.PIPE,
        )
        assert clicker.stdout is not None
        try:
            async with asyncio.timeout(LIMIT_S):
                await clicker.stdout.readuntil(b"answered 500\n")
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                await clicker.stdout.readuntil(b"answered 1000\n")
                server.send(signal.SIGSTOP)
                await clicker.stdout.readuntil(b"broken\n")  # it has given the silent connection up
                server.send(signal.SIGCONT)
                rest = await clicker.stdout.read()
                await clicker.wait()
        finally:
            if clicker.returncode is None:
                clicker.kill()
                await clicker.wait()
    seen: dict[str, Any] = json.loads(rest.splitlines()[-1])
    assert seen == {
        **dict.fromkeys(("wentBack", "lost", "refused", "unsent"), 0),
        **dict.fromkeys(("answered", "expected", "dishes", "clicks"), CLICKS),
        **{name: seen[name] for name in ("duplicates", "resent", "connections")},
    }
    assert seen["connections"] >= 3


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
