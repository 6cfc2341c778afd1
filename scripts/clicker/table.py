"""What runs show: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from scripts.clicker.totals import Totals

BROKEN: Final = 1006
"""The close code of a connection that ended without a close frame."""

_REFRESH_S: Final = 0.5
_LINE_EVERY_S: Final = 5.0
_RECENT_S: Final = 5.0


class Display:
    """Shows totals until cancelled; `users` is how many play."""

    def __init__(self, console: Console, totals: Totals, users: int) -> None:
        self._console = console
        self._totals = totals
        self._users = users
        self._began_s = asyncio.get_running_loop().time()
        self._recent: deque[tuple[float, int, int]] = deque()

    async def run(self) -> None:
        """Refresh for ever."""
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(_LINE_EVERY_S)
                self._console.print(self.line(), soft_wrap=True, highlight=False)
        with Live(self.table(), console=self._console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(_REFRESH_S)
                live.update(self.table(), refresh=True)

    def line(self) -> str:
        """Say everything in one line."""
        return ", ".join(f"{name} {value}" for name, value in self._facts().items())

    def table(self) -> Table:
        """Say everything in a table."""
        table = Table(title="clicker", show_header=False)
        table.add_column(style="dim")
        table.add_column(justify="right")
        for name, value in self._facts().items():
            table.add_row(name, value)
        return table

    def _facts(self) -> dict[str, str]:
        totals, waits = self._totals, self._totals.answered
        clicks, requests = self._rates()
        errors = ", ".join(f"{code} {times:,}" for code, times in totals.errors.most_common(4))
        closes = ", ".join(
            f"{'broken' if code == BROKEN else code} {times:,}"
            for code, times in totals.closes.most_common(3)
        )
        return {
            "seconds": f"{asyncio.get_running_loop().time() - self._began_s:.0f}",
            "users": f"{self._users:,}",
            "clicks/s": f"{clicks:,.0f}",
            "requests/s": f"{requests:,.0f}",
            "clicks": f"{totals.clicks:,}",
            "p50": f"{1000 * waits.percentile_s(50):.1f} ms",
            "p95": f"{1000 * waits.percentile_s(95):.1f} ms",
            "p99": f"{1000 * waits.percentile_s(99):.1f} ms",
            "longest": f"{1000 * waits.longest_s:.0f} ms",
            "reconnects": f"{totals.reconnects:,}" + (f" ({closes})" if closes else ""),
            "sent again": f"{totals.resent:,}",
            "errors": errors or "none",
            "lost": f"{totals.lost:,}",
        }

    def _rates(self) -> tuple[float, float]:
        """Return clicks and requests a second over the last seconds."""
        now_s = asyncio.get_running_loop().time()
        self._recent.append((now_s, self._totals.clicks, self._totals.settled))
        while self._recent[0][0] < now_s - _RECENT_S:
            self._recent.popleft()
        since_s, clicks, settled = self._recent[0]
        if len(self._recent) == 1:
            since_s, clicks, settled = self._began_s, 0, 0
        elapsed_s = max(now_s - since_s, 1e-9)
        return (self._totals.clicks - clicks) / elapsed_s, (self._totals.settled - settled) / elapsed_s
