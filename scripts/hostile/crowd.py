"""The attackers as a process of their own, which can be halted and let on."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_REPOSITORY: Final = Path(__file__).parents[2]
_LIMIT_S: Final = 120.0


@dataclass(slots=True)
class Crowd:
    """The attackers' process. Nobody is attacked while it is halted."""

    process: asyncio.subprocess.Process

    def halt(self) -> None:
        """Let nobody do anything; connections stay."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Attack again."""
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> Counter[str]:
        """End it and return the visits by kind; raises TimeoutError."""
        self.go_on()
        self.process.terminate()
        try:
            async with asyncio.timeout(_LIMIT_S):
                output, _ = await self.process.communicate()
        except TimeoutError:
            self.process.kill()
            raise
        visits: dict[str, int] = json.loads(output)
        return Counter(visits)


async def begin(
    port: int, seconds: float, access: Sequence[Sequence[str]], refresh: Sequence[Sequence[str]]
) -> Crowd:
    """Let attackers loose on a port for so many seconds at most; returns once they are at work.

    Each entry of `access` holds two access tokens of one player and one of another; each of `refresh`
    holds refresh tokens.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.hostile.attackers", str(port), str(seconds)),
        cwd=_REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the attackers have no pipes")
    process.stdin.write(json.dumps({"access": access, "refresh": refresh}).encode())
    process.stdin.close()
    async with asyncio.timeout(_LIMIT_S):
        if await process.stdout.readline() != b"began\n":
            raise RuntimeError("the attackers did not begin")
    return Crowd(process)
