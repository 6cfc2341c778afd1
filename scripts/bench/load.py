"""The load: many connections in one process, one request in flight on each, over a compiled client.

`picows` frames, masks and writes in C; one callback of Python remains for each answer. Every answer is held
against the request that is in flight, so a stack that mixes answers up fails the bench.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTS_AT_ONCE: Final = 50
ANSWER_LIMIT_S: Final = 60.0
_OPENED_WITHIN_S: Final = 30.0
"""Where a machine is busy a crowd waits for longer than the 5 s of `picows`; how long is what is measured."""
_JOIN_ATTEMPTS: Final = 5
_JOIN_AGAIN_S: Final = 0.5
_COME_ATTEMPTS: Final = 20
_SCHEDULE_STEP_S: Final = 0.001
_ANSWER: Final = b'{"message_type":"response","request_id":"%d","request_type":"%b"'
_PUSH: Final = b'{"message_type":"response","request_id":""'
_COPY: Final = _PUSH + b',"request_type":"cook"'


class WrongAnswerError(RuntimeError):
    """A stack answered what it must not: its figures would mean nothing."""


class Peer(WSListener):
    """One player's connection. `tagged` requests carry `client` and `seq`; an `echo` sends them back."""

    def __init__(self, load: Load, token: str, *, tagged: bool = False, echo: bool = False) -> None:
        self.load = load
        self.tagged = tagged
        self.echo = echo
        self.token = token
        self.transport: WSTransport | None = None
        self.number = 0
        self.pushes = self.copies = self.clicks = 0
        self.busy = False
        self.closed = asyncio.Event()
        self.asked: asyncio.Future[bytes] | None = None
        self.expected = b""
        self.began_s = 0.0
        self.waiting: deque[float] = deque()
        before = b'{"message_type":"request","request_id":"%d","request_type":"cook","data":{"token":"'
        after = b'","client":"bench","seq":%d}}' if tagged else b'"}}'
        self.template = before + token.encode() + after

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the listener's signature
        """Wake the tasks that wait for the end, or for an answer that cannot come any more."""
        self.closed.set()
        why = "disconnected with a request in flight"
        if self.busy:
            self.load.fail(why)
        if self.asked is not None and not self.asked.done():
            self.asked.set_exception(WrongAnswerError(why))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - as above
        """Take an answer: note its time, send the next request where one is due."""
        if frame.msg_type is not WSMsgType.TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                why = f"closed: {frame.get_close_code()} {frame.get_close_reason()}"
                self.load.fail(why)
                if self.asked is not None and not self.asked.done():
                    self.asked.set_exception(WrongAnswerError(why))
            return
        answer = frame.get_payload_as_bytes()
        if answer.startswith(_PUSH):
            self.pushes += 1
            self.copies += answer.startswith(_COPY)
            return
        if self.asked is not None:
            self.asked.set_result(answer)
            return
        if not answer.startswith(self.expected):
            self.load.fail(f"expected {self.expected!r}, got {answer[:200]!r}")
            return
        self.load.answered(self)

    def click(self, began_s: float) -> None:
        """Send the next `cook`; its time counts from `began_s`."""
        if self.transport is None:
            raise WrongAnswerError("a peer that never connected")
        self.number = number = self.number + 1
        self.clicks += 1
        request = self.template % ((number, number) if self.tagged else number)
        self.expected = request if self.echo else _ANSWER % (number, b"cook")
        self.began_s = began_s
        self.busy = True
        self.transport.send(WSMsgType.TEXT, request)

    async def ask(self, request_type: str, more: str = "") -> bytes:
        """Send any request beside the clicks and return its answer; raises WrongAnswerError at an error."""
        if self.transport is None:
            raise WrongAnswerError("a peer that never connected")
        if self.closed.is_set():
            raise WrongAnswerError(self.load.failure or "disconnected")
        self.number += 1
        self.asked = asyncio.get_running_loop().create_future()
        request = (
            f'{{"message_type":"request","request_id":"{self.number}","request_type":"{request_type}",'
            f'"data":{{"token":"{self.token}"{more}}}}}'
        )
        self.transport.send(WSMsgType.TEXT, request.encode())
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                answer = await self.asked
        finally:
            self.asked = None
        if not answer.startswith(_ANSWER % (self.number, request_type.encode())):
            raise WrongAnswerError(f"{request_type}: {answer[:300]!r}")
        return answer

    async def join(self) -> None:
        """Begin a session; a crowd that arrives at once may have to ask again."""
        for _ in range(_JOIN_ATTEMPTS - 1):
            with contextlib.suppress(WrongAnswerError):
                await self.ask("session")
                return
            await asyncio.sleep(_JOIN_AGAIN_S)
        await self.ask("session")

    async def leave(self) -> None:
        """Close the connection and wait until it is gone."""
        if self.transport is not None:
            self.transport.disconnect()
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self.closed.wait()


@dataclass(slots=True)
class Burst:
    """What one stretch of load saw: answers, seconds, the load's own CPU seconds, sorted latencies."""

    clicks: int
    seconds: float
    load_cpu_s: float
    latencies_s: list[float]

    @property
    def rate(self) -> float:
        """Clicks a second."""
        return self.clicks / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency that `share` of the clicks stayed within."""
        return self.latencies_s[min(int(share * self.clicks), self.clicks - 1)] * 1000


def together(bursts: Sequence[Burst]) -> Burst:
    """Make one of several stretches."""
    return Burst(
        sum(burst.clicks for burst in bursts),
        sum(burst.seconds for burst in bursts),
        sum(burst.load_cpu_s for burst in bursts),
        sorted(itertools.chain.from_iterable(burst.latencies_s for burst in bursts)),
    )


@dataclass
class Load:
    """The peers of one stack and what is being measured of them."""

    peers: list[Peer] = field(default_factory=list)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    late_s: array[float] = field(default_factory=lambda: array("d"))
    """How much later than due each request of `pace` was sent: it is in the latencies, and no server's."""
    failure: str = ""
    _closed_loop: bool = False
    _in_flight: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(
        self, url: str, tokens: Sequence[str], *, tagged: bool = False, echo: bool = False, join: bool = False
    ) -> None:
        """Open a connection for each token, and begin a session on it where it shall `join`."""
        for start in range(0, len(tokens), CONNECTS_AT_ONCE):
            peers = [
                Peer(self, token, tagged=tagged, echo=echo)
                for token in tokens[start : start + CONNECTS_AT_ONCE]
            ]
            self.peers += peers
            await asyncio.gather(*(_open(url, peer) for peer in peers))
            if join:
                await asyncio.gather(*(peer.join() for peer in peers))

    async def come(self, url: str, token: str) -> int:
        """Open one more connection and begin a session on it; returns how often that was tried in vain.

        A server gives up waiting for a load that has too little of its core, which comes again then.
        """
        for failed in range(_COME_ATTEMPTS):
            peer = Peer(self, token)
            try:
                await _open(url, peer)
                await peer.join()
            except (WSError, WrongAnswerError, TimeoutError, OSError):
                await asyncio.sleep(_JOIN_AGAIN_S)
            else:
                self.peers.append(peer)
                return failed
        raise WrongAnswerError(f"did not come in: {self.failure}")

    async def leave(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(peer.leave() for peer in self.peers))
        self.peers.clear()

    def fail(self, why: str) -> None:
        """Note what must not happen; the running stretch ends with it."""
        self.failure = self.failure or why
        self._idle.set()

    def answered(self, peer: Peer) -> None:
        """Count an answer and keep the peer going."""
        now_s = time.perf_counter()
        self.latencies.append(now_s - peer.began_s)
        if self._closed_loop:
            peer.click(now_s)
        elif peer.waiting:
            peer.click(peer.waiting.popleft())
        else:
            peer.busy = False
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def saturate(self, seconds: float) -> Burst:
        """Keep one request in flight on every connection for a while; all are answered at the end."""
        began_s, cpu_s = self._begin()
        self._closed_loop = True
        self._in_flight = len(self.peers)
        for peer in self.peers:
            peer.click(time.perf_counter())
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            self._closed_loop = False
        return await self._finish(began_s, cpu_s)

    async def pace(self, rate: float, seconds: float) -> Burst:
        """Send `rate` requests a second, evenly, round the connections, whatever the answers do.

        A latency counts from the moment at which its request was due, so a stall is not left out.
        """
        began_s, cpu_s = self._begin()
        self._closed_loop = False
        peers = self.peers
        sent, total = 0, int(rate * seconds)
        while sent < total and not self.failure:
            due = min(total, int((time.perf_counter() - began_s) * rate))
            while sent < due:
                peer = peers[sent % len(peers)]
                due_s = began_s + sent / rate
                sent += 1
                self.late_s.append(time.perf_counter() - due_s)
                if peer.busy:
                    peer.waiting.append(due_s)
                else:
                    self._in_flight += 1
                    peer.click(due_s)
            await asyncio.sleep(_SCHEDULE_STEP_S)
        if not self._in_flight:
            self._idle.set()
        return await self._finish(began_s, cpu_s)

    def _begin(self) -> tuple[float, float]:
        self.latencies = array("d")
        self.late_s = array("d")
        self._in_flight = 0
        self._idle.clear()
        return time.perf_counter(), time.process_time()

    async def _finish(self, began_s: float, cpu_s: float) -> Burst:
        """Wait for the answers in flight; raises WrongAnswerError where one was wrong or is missing."""
        while self._in_flight and not self.failure:
            self._idle.clear()
            try:
                async with asyncio.timeout(ANSWER_LIMIT_S):
                    await self._idle.wait()
            except TimeoutError:
                raise WrongAnswerError(f"{self._in_flight} requests were never answered") from None
        if self.failure:
            raise WrongAnswerError(self.failure)
        seconds = time.perf_counter() - began_s
        used_s = time.process_time() - cpu_s
        return Burst(len(self.latencies), seconds, used_s, sorted(self.latencies))


async def _open(url: str, peer: Peer) -> None:
    peer.transport, _ = await ws_connect(lambda: peer, url, websocket_handshake_timeout=_OPENED_WITHIN_S)
