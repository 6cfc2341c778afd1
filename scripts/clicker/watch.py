"""Counts what a client does and what became of each request: for totals, and for the book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clients.python.clickcook import Connect, Disconnected, Heard, Lost, Refuse, Send, Settle
from scripts.clicker.answered import Answered, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from clients.python.clickcook import Client, Event
    from scripts.clicker.totals import Totals


class Watch:
    """Counts for `totals` what `client` does; `on_answer` hears of each request with its final answer."""

    def __init__(
        self,
        client: Client,
        totals: Totals,
        now_s: Callable[[], float],
        on_answer: Callable[[Answered], None] | None = None,
    ) -> None:
        self._client = client
        self._totals = totals
        self._now_s = now_s
        self._on_answer = on_answer
        self._sent: dict[object, Sent] = {}
        self._version = 0
        client.subscribe(self.hear)

    def hear(self, event: Event) -> None:
        """Count one event."""
        totals = self._totals
        match event:
            case Send():
                self._count_sent(event)
            case Settle():
                self._count_answer(event.call, event.data, "")
            case Refuse():
                self._count_answer(event.call, event.data, event.code)
            case Heard():
                self._count_message(event.message)
            case Connect():
                self._version = 0
            case Disconnected():
                totals.closes[event.code] += 1
                totals.timeouts += event.is_silent
            case Lost():
                totals.lost += event.count

    def _count_sent(self, send: Send) -> None:
        self._totals.sent += 1
        self._totals.resent += send.times_sent > 1
        if send.call is None:
            return
        known = self._sent.get(send.call)
        if known is not None:
            known.times_sent = send.times_sent
            return
        seq = send.data.get("seq", 0)
        self._sent[send.call] = Sent(send.request_type, send.data, seq, self._now_s(), send.times_sent)

    def _count_answer(self, call: object, data: dict[str, Any], code: str) -> None:
        sent = self._sent.pop(call, None)
        if sent is None:
            return
        answered = Answered(sent, data, code)
        self._totals.settle(answered, self._now_s() - sent.first_s)
        if self._on_answer is not None:
            self._on_answer(answered)

    def _count_message(self, message: dict[str, Any]) -> None:
        kind, data = message["request_type"], message["data"]
        if kind == "error":
            self._totals.errors[data["code"]] += 1
        version = data.get("version", self._version)
        if version < self._version:
            said = f"{self._client.name}: {kind} of {version} after {self._version}"
            self._totals.went_back.append(said)
        self._version = max(self._version, version)
