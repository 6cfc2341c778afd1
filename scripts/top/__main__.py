"""Watch servers: `python -m scripts.top [URL …]`.

Exit codes: 0 where all servers serve, or on Ctrl-C in the live view; 1 where one does not answer or is not
ready; 2 where the arguments make no sense.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scripts.top.lines import LINES, troubles
from scripts.top.reading import read
from server.observability.readings import change_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from server.observability.readings import Change, Reading

_HERE: Final = "http://127.0.0.1:1323"
_MOST_SERVERS: Final = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the servers until Ctrl-C, or once; returns the exit code."""
    options = _parser().parse_args(arguments)
    urls = list(dict.fromkeys(options.urls or [_HERE]))
    with ThreadPoolExecutor(min(len(urls), _MOST_SERVERS)) as pool:

        def look() -> list[Reading]:
            return list(pool.map(read, urls))

        before = look()
        if options.once:
            time.sleep(options.interval)
            return _print(_changes(before, look()))
        # Ctrl-C as a flag: raised as an exception in the middle of a destructor it would be swallowed.
        over = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: over.set())
        with Live(Text("…"), console=Console(), screen=True, auto_refresh=False) as live:
            while not over.wait(options.interval):
                after = look()
                live.update(_screen(_changes(before, after)), refresh=True)
                before = after
        return 0


def _changes(before: list[Reading], after: list[Reading]) -> list[Change]:
    return [change_between(*pair) for pair in zip(before, after, strict=True)]


def _print(changes: list[Change]) -> int:
    """Print `URL figure: value` lines, what is wrong after them; return the exit code."""
    for change in changes:
        url = change.after.url
        if not change.after.error:
            for name, show in LINES:
                print(f"{url} {name}: {show(change)}")
        for trouble in troubles(change):
            print(f"{url} ! {trouble}")
    return 0 if all(change.after.serves for change in changes) else 1


def _screen(changes: list[Change]) -> RenderableType:
    """Draw a column for each server, and above what is wrong with them."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(time.strftime("%H:%M:%S"))
    for change in changes:
        table.add_column(urlsplit(change.after.url).netloc, justify="right", style=_style(change))
    for name, show in LINES:
        table.add_row(name, *("" if change.after.error else show(change) for change in changes))
    wrong = [
        Text(f"{urlsplit(change.after.url).netloc}  {trouble}", style="yellow")
        for change in changes
        for trouble in troubles(change)
    ]
    # Above the table, where a small screen cuts nothing off.
    return Group(*wrong, table)


def _style(change: Change) -> str:
    if not change.after.serves:
        return "red"
    return "yellow" if change.after.condition == "degraded" else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.top",
        description="Show what running servers do, from their /metrics and /readyz.",
        epilog="Exit codes: 0 all serve, 1 one does not answer or is not ready, 2 wrong arguments.",
    )
    parser.add_argument("urls", metavar="URL", nargs="*", type=_url, help=f"a server; {_HERE} without any")
    parser.add_argument("--once", action="store_true", help="print plain lines once instead of a live view")
    parser.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="S", help="seconds between two looks (1)"
    )
    return parser


def _url(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no http:// or https:// address")
    return url.rstrip("/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:  # noqa: PLR2004 - said in the message
        raise argparse.ArgumentTypeError("give seconds from 0.1 to 3600")
    return seconds


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
