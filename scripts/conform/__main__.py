"""Play the whole contract against a server: `python -m scripts.conform http://127.0.0.1:1323`.

Whatever the server is written in, it is known by its address alone. Opens accounts named conform-… and leaves
them. Limits of the server (`AUTH_RATE`) are waited for where it names a time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Final

import httpx
from rich.console import Console
from rich.table import Table

from clients.python.clickcook import Unreachable
from runtime.exit_codes import REFUSED, UNFINISHED
from scripts.clicker.reach import require_answer
from scripts.conform import accounts, play, wire
from scripts.conform.world import ANSWER_WITHIN_S, BrokenError, World

if TYPE_CHECKING:
    from scripts.conform.world import Row

ROWS: Final = (*accounts.ROWS, *play.ROWS, *wire.ROWS)
_AT_ONCE: Final = 4


async def judge(url: str, rows: tuple[Row, ...] = ROWS) -> dict[Row, str]:
    """Play each row; return what is wrong with it, "" where nothing is."""
    turns = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(timeout=ANSWER_WITHIN_S) as http:
        world = World(url, http)

        async def judged(row: Row) -> str:
            async with turns:
                return await _fault(world, row)

        return dict(zip(rows, await asyncio.gather(*map(judged, rows)), strict=True))


async def _fault(world: World, row: Row) -> str:
    try:
        async with asyncio.timeout(3 * ANSWER_WITHIN_S):
            await row.play(world)
    except BrokenError as error:
        return str(error)
    except TimeoutError:
        return "no answer in time"
    except Exception as error:  # noqa: BLE001 - whatever a server does, the other rows are judged
        return f"{type(error).__name__}: {error}"[:300]
    return ""


async def _main(url: str, console: Console) -> int:
    await require_answer(url)
    faults = await judge(url)
    table = Table("", "area", "row", "what is wrong")
    for row, fault in faults.items():
        table.add_row("FAIL" if fault else "pass", row.area, row.says, fault, style="red" if fault else "")
    console.print(table)
    failed = sum(map(bool, faults.values()))
    console.print(f"{len(faults) - failed} of {len(faults)} rows passed")
    return UNFINISHED if failed else 0


def main() -> int:
    """Run the command: exit code 0, 1 where a row fails, 2 where nobody answers."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.conform", description="Play the whole contract against a server."
    )
    parser.add_argument("url", help="the server's address, as http://127.0.0.1:1323")
    console = Console()
    try:
        return asyncio.run(_main(parser.parse_args().url, console))
    except Unreachable as error:
        console.print(str(error), style="red", soft_wrap=True, highlight=False, markup=False)
        return REFUSED


if __name__ == "__main__":
    sys.exit(main())
