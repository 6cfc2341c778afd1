"""Play the game at a pace of one's choice: `python -m scripts.clicker --users 10 --cps 20 --for 60`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from clients.python.clickcook import ClickCookError, Client, Options, Unreachable
from runtime.exit_codes import INTERRUPTED, REFUSED, UNFINISHED
from scripts.clicker.book import Book
from scripts.clicker.player import Player
from scripts.clicker.reach import PacedAccount, require_answer
from scripts.clicker.table import Display
from scripts.clicker.totals import Totals
from scripts.clicker.watch import Watch

if TYPE_CHECKING:
    from scripts.clicker.answered import Answered

_ANSWERED_WITHIN_S: Final = 30.0
_MOST_COUNT: Final = 1000
_AT_ONCE: Final = 16
"""Log-ins that wait for the server at the same time."""

_OPTIONS: Final = Options(retry_first_ms=100, retry_most_ms=10_000, renew_again_ms=250)


def main() -> int:
    """Run the command.

    Exit code 0, 1 when something was lost, 2 when nobody answers or a player could not play on.
    """
    options = _options().parse_args()
    console = Console()
    with contextlib.ExitStack() as stack:
        book = Book(stack.enter_context(options.book.open("wb"))) if options.book is not None else None
        try:
            return asyncio.run(_play(options, console, book))
        except KeyboardInterrupt:
            return INTERRUPTED
        except Unreachable as error:
            console.print(f"{error}", style="red", soft_wrap=True, highlight=False, markup=False)
            return REFUSED
        except ExceptionGroup as errors:
            own, others = errors.split(ClickCookError)
            if others is not None:
                raise
            console.print(f"{own.exceptions[0] if own else errors}", style="red")
            return REFUSED


async def _play(options: argparse.Namespace, console: Console, book: Book | None) -> int:
    await require_answer(options.url)
    totals, stop, turns = Totals(), asyncio.Event(), asyncio.Semaphore(_AT_ONCE)
    display = Display(console, totals, options.users)
    async with asyncio.TaskGroup() as group:
        showing = group.create_task(display.run())
        players = [
            group.create_task(_one_player(options, number, totals, stop, book=book, turns=turns))
            for number in range(options.users)
        ]
        asyncio.get_running_loop().call_later(options.seconds, stop.set)
        await stop.wait()
        _, late = await asyncio.wait(players, timeout=_ANSWERED_WITHIN_S)
        for task in late:
            task.cancel()
        showing.cancel()
    console.print(display.table() if console.is_terminal else display.line(), soft_wrap=True, highlight=False)
    wrong = [f"{totals.lost} applied requests were lost"] if totals.lost else []
    wrong += [f"{len(late)} players still wait for answers"] if late else []
    wrong += totals.went_back
    for line in wrong:
        console.print(f"WRONG: {line}", style="red")
    return UNFINISHED if wrong else 0


async def _one_player(
    options: argparse.Namespace,
    number: int,
    totals: Totals,
    stop: asyncio.Event,
    *,
    book: Book | None,
    turns: asyncio.Semaphore,
) -> None:
    email = options.email.replace("{}", str(number))

    def answered(request: Answered) -> None:
        if book is not None:
            book.write(email, client.name, request)

    account = PacedAccount(options.url, email, options.password, turns)
    client = Client(account, options=_OPTIONS, logs_in=True)
    Watch(client, totals, asyncio.get_running_loop().time, answered)
    async with client:
        player = Player(client, clicks_per_second=options.cps, most_count=options.count, buys=options.buy)
        await player.play(stop)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.clicker",
        description="Players who cook, sell, buy, rise and reset. Exit code 1 when something was lost, "
        "2 when nobody answers or a player could not play on.",
    )
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:1323", help="the server (http://127.0.0.1:1323)")
    add("--users", type=_whole(10_000), default=1, help="how many players (1)")
    add("--cps", type=float, default=5, help="clicks a second of each; 0: as many as go (5)")
    add("--for", dest="seconds", type=float, default=60, metavar="S", help="how long to play (60)")
    add("--count", type=_whole(_MOST_COUNT), default=1, help="clicks that one request may carry (1)")
    add(
        "--buy",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="buy upgrades and reset (yes); without, only the first dish",
    )
    add(
        "--email",
        default=f"clicker-{secrets.token_hex(4)}-{{}}@example.com",
        help="of player {}; a new one each time if not given",
    )
    add("--password", default=secrets.token_hex(12), help="of all players; needed to come back")
    add("--book", type=Path, help="write every answered request into this file, a line of JSON each")
    return parser


def _whole(most: int) -> Any:
    def read(text: str) -> int:
        number = int(text)
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"give a whole number from 1 to {most}")
        return number

    return read


if __name__ == "__main__":
    sys.exit(main())
