"""The conversation with the server without any I/O: times and events go in, what is to be done comes out.

The same machine in every language: `clients/conformance` holds what it must do, as data. Each input takes
the present time in milliseconds of a clock that never goes back and returns its outputs in order.
`wake_at_ms` says when to call `time` if nothing else happens before.
"""

from __future__ import annotations

import math
import random
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .closing import BROKEN, CLIENT_FAULTS, POLICY, REVOKED, SLOW_READER, Options, delay_ms, reason_of
from .outputs import (
    Close,
    Connect,
    Drop,
    End,
    Full,
    Joined,
    Lost,
    Output,
    Push,
    Refresh,
    Refuse,
    Send,
    Settle,
    Unsent,
)
from .rules import expected
from .state import Game, merge
from .waiting import Entry, Kept, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE_MS: Final = 250
"""After `rate_limited` and `unavailable` the server answers nothing for this long."""

RENEW_AFTER: Final = 0.7
"""The share of an access token's life after which it is renewed ahead of time."""

_MOST_REFUSED_TOKENS: Final = 3
_MOST_POLICY_CLOSES: Final = 3
_HOLD_SPREAD: Final = 0.2


@dataclass(frozen=True, slots=True)
class Status:
    """Where the conversation stands.

    `name` is `logged_out`, `connecting`, `joined`, `waiting`, `offline` or `ended`; `reason` says why it
    waits or ended, `retry_at_ms` until when it waits.
    """

    name: str
    reason: str = ""
    retry_at_ms: float | None = None


class Core:
    """One tab's conversation. `chance` gives numbers from 0 to 1 that spread waits."""

    def __init__(
        self,
        options: Options | None = None,
        *,
        kept: Kept | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.options = options or Options()
        self.waiting = Waiting(kept or Kept(secrets.token_hex(12), 0, ()), self.options.most_unanswered)
        self.game: Game | None = None
        self.ended = ""
        self._chance = chance
        self._out: list[Output] = []
        self._started = False
        self._link = ""  # "", "connecting" or "open"
        self._offline = False
        self._reason = ""
        self._attempt = 0
        self._retry_at_ms = 0.0
        self._opened_ms = 0.0
        self._quiet_since_ms = 0.0
        self._silence_ms = self.options.answer_timeout_ms
        self._hold_until_ms = 0.0
        self._token = ""
        self._refused: str | None = None
        self._refused_in_a_row = 0
        self._refreshing = False
        self._refresh_at_ms = 0.0
        self._revoked = False
        self._policy_closes = 0
        self._applied_seq = 0

    # What the owner may ask.

    @property
    def status(self) -> Status:
        """Where it stands now."""
        if self.ended:
            return Status("ended", self.ended)
        if self._link:
            return Status("joined" if self.waiting.joined else "connecting")
        if not self._started:
            return Status("logged_out")
        if self._offline:
            return Status("offline")
        if not self._reason:
            return Status("connecting")
        return Status("waiting", self._reason, self._retry_at_ms)

    @property
    def optimistic(self) -> Game | None:
        """The state with the unanswered requests applied by the game's rules."""
        return None if self.game is None else expected(self.game, self.waiting.expected)

    @property
    def wake_at_ms(self) -> float | None:
        """When `time` has something to do, None where only an event can change anything."""
        if self.ended or not self._started:
            return None
        at_ms = math.inf if self._refreshing else self._refresh_at_ms
        if self._link:
            if self._link == "connecting" or self.waiting.in_flight:
                at_ms = min(at_ms, self._quiet_since_ms + self._silence_ms)
            elif self.waiting.joined:
                at_ms = min(at_ms, self._quiet_since_ms + self.options.probe_after_ms)
            if self._link == "open" and self._token and self.waiting.has_unsent:
                at_ms = min(at_ms, self._hold_until_ms)
        elif self._token and not self._offline:
            at_ms = min(at_ms, self._retry_at_ms)
        return None if at_ms == math.inf else at_ms

    # Inputs.

    def start(self, now_ms: float) -> list[Output]:
        """Want a connection from now on."""
        self._started = True
        return self._done(now_ms)

    def tokens(self, now_ms: float, access: str, life_ms: float, age_ms: float = 0) -> list[Output]:
        """Use this access token from now on. It lives `life_ms` and came `age_ms` ago."""
        self._token, self._refused = access, None
        self._refreshing = False
        self._refresh_at_ms = now_ms + RENEW_AFTER * life_ms - age_ms
        return self._done(now_ms)

    def no_tokens(self, now_ms: float, *, final: bool, retry_after_ms: float = 0) -> list[Output]:
        """Take note that a renewal failed: for good, or for the moment."""
        self._refreshing = False
        self._refresh_at_ms = now_ms + self._spread(max(self.options.renew_again_ms, retry_after_ms))
        if final:
            self._end("revoked" if self._revoked else "logged_out")
        return self._done(now_ms)

    def opened(self, now_ms: float) -> list[Output]:
        """Take note that the socket is open."""
        if self._link == "connecting":
            self._link = "open"
            self._opened_ms = self._quiet_since_ms = now_ms
            self._hold_until_ms = 0
            self.waiting.greet()
        return self._done(now_ms)

    def closed(self, now_ms: float, code: int = BROKEN) -> list[Output]:
        """Take note that the socket is closed, or could not be opened."""
        if self._link and not self.ended:
            self._closed(now_ms, code)
        return self._done(now_ms)

    def message(self, now_ms: float, message: dict[str, Any]) -> list[Output]:
        """Take one message of the server; one of another connection, or of another form, changes nothing."""
        match message:
            case {"request_id": str(request_id), "request_type": str(kind), "data": dict(data)}:
                if self._link == "open" and not self.ended:
                    self._quiet_since_ms, self._silence_ms = now_ms, self.options.answer_timeout_ms
                    self._heard(now_ms, request_id, kind, data)
        return self._done(now_ms)

    def call(self, now_ms: float, call: object, request_type: str, data: dict[str, Any]) -> list[Output]:
        """Ask for something; `call` names it in the outputs."""
        if self.ended or not self.waiting.add(call, request_type, data):
            return [Full(call)]
        return self._done(now_ms)

    def network(self, now_ms: float, state: str) -> list[Output]:
        """Take note of `offline`, `online` or `resumed`: back from sleep, or on another network."""
        self._offline = state == "offline"
        if not self._offline:
            if not self._link:
                self._attempt, self._retry_at_ms = 0, now_ms
            elif self._link == "open":
                self._quiet_since_ms, self._silence_ms = now_ms, self.options.probe_timeout_ms
                if self.waiting.joined and not self.waiting.in_flight:
                    self.waiting.probe()
        return self._done(now_ms)

    def time(self, now_ms: float) -> list[Output]:
        """Do what is due."""
        return self._done(now_ms)

    def stop(self, now_ms: float) -> list[Output]:
        """End in order, with what is unanswered."""
        self._end("stopped")
        return self._done(now_ms)

    # What follows from them.

    def _done(self, now_ms: float) -> list[Output]:
        if self._started and not self.ended:
            self._keep_token(now_ms)
            self._keep_link(now_ms)
            self._send(now_ms)
        out, self._out = self._out, []
        return out

    def _keep_token(self, now_ms: float) -> None:
        if not self._refreshing and now_ms >= self._refresh_at_ms:
            self._refreshing = True
            self._out.append(Refresh(self._refused))

    def _keep_link(self, now_ms: float) -> None:
        if self._link:
            quiet_ms = now_ms - self._quiet_since_ms
            if self._link == "connecting" or self.waiting.in_flight:
                if quiet_ms >= self._silence_ms:
                    self._out.append(Drop())
                    self._closed(now_ms, BROKEN)
            elif self.waiting.joined and quiet_ms >= self.options.probe_after_ms:
                self.waiting.probe()
        if not self._link and self._token and not self._offline and now_ms >= self._retry_at_ms:
            self._link = "connecting"
            self._quiet_since_ms, self._silence_ms = now_ms, self.options.answer_timeout_ms
            self._out.append(Connect())

    def _send(self, now_ms: float) -> None:
        if self._link != "open" or not self._token or now_ms < self._hold_until_ms:
            return
        idle = not self.waiting.in_flight
        for entry in self.waiting.take_unsent(self._token):
            if idle:
                self._quiet_since_ms = now_ms
            data = self.waiting.wire_data(entry)
            send = Send(entry.request_id, entry.request_type, data, entry.call, entry.times_sent)
            self._out.append(send)

    def _closed(self, now_ms: float, code: int) -> None:
        if self._link == "open" and now_ms - self._opened_ms >= self.options.stable_ms:
            self._attempt = 0
        self._link, self._reason = "", reason_of(code)
        self.waiting.disconnected()
        self._retry_at_ms = now_ms + delay_ms(code, self._attempt, self.options, self._chance())
        self._attempt += 1
        if code in CLIENT_FAULTS:
            self._end("client_fault")
        elif code == POLICY:
            # Also what a server says that was too slow to look at our token, so not at once final.
            self._policy_closes += 1
            if self._policy_closes >= _MOST_POLICY_CLOSES:
                self._end("policy")
        elif code == SLOW_READER:
            self.waiting.size = max(1, self.waiting.size // 2)
        elif code == REVOKED:
            # Another process may hold a newer log-in, after a change of the password: only a renewal that
            # is refused is the end.
            self._revoked = True
            self._refuse_token(now_ms)

    def _refuse_token(self, now_ms: float) -> None:
        if self._token:
            self._refused, self._token = self._token, ""
            self._refresh_at_ms = now_ms

    def _heard(self, now_ms: float, request_id: str, kind: str, data: dict[str, Any]) -> None:
        entry = self.waiting.find(request_id)
        if kind == "error":
            if entry is not None:
                self._refused_with(now_ms, entry, data)
            return
        if entry is None and request_id:
            return
        self.game = merge(self.game, kind, data)
        if entry is None:
            self._out.append(Push(kind, data))
            return
        self.waiting.settle(entry)
        self._policy_closes = self._refused_in_a_row = 0
        self._revoked = False
        if kind == "session":
            self._knows(data.get("last_seq", 0))
        if entry.request_type != "level_up":  # one without enough xp changes nothing and is not remembered
            self._applied_seq = max(self._applied_seq, entry.seq)
        if not entry.is_own:
            self._out.append(Settle(entry.call, kind, data))
        elif kind == "session":
            self.waiting.joined, self._reason = True, ""
            self._out.append(Joined(data))

    def _knows(self, last_seq: int) -> None:
        self.waiting.joined_with(last_seq)
        if last_seq < self._applied_seq:
            self._out.append(Lost(self._applied_seq - last_seq))
            self._applied_seq = last_seq

    def _refused_with(self, now_ms: float, entry: Entry, data: dict[str, Any]) -> None:
        code = data.get("code")
        match code:
            case "token_invalid" | "missing_token":
                self.waiting.again(entry)
                if entry.token == self._token:
                    self._refuse_token(now_ms)
                    self._refused_in_a_row += 1
                    if self._refused_in_a_row >= _MOST_REFUSED_TOKENS:
                        self._end("logged_out")
            case "rate_limited" | "unavailable":
                self.waiting.again(entry)
                wait_ms = self._spread(max(_PAUSE_MS, data.get("retry_after_ms", 0)))
                self._hold_until_ms = max(self._hold_until_ms, now_ms + wait_ms)
            case "session_required":
                self.waiting.again(entry)
                self.waiting.greet()
            case _:
                self.waiting.settle(entry)
                self._policy_closes = self._refused_in_a_row = 0
                if not entry.is_own:
                    self._out.append(Refuse(entry.call, entry.request_type, str(code), data))
                elif entry.request_type == "session":
                    self._end("client_fault")  # without it nothing can be sent

    def _end(self, reason: str) -> None:
        if self.ended:
            return
        self.ended = reason
        if self._link:
            self._out.append(Close())
        unsent = tuple(
            Unsent(
                one.call, one.request_type, one.data, one.seq, maybe_applied=bool(one.seq and one.times_sent)
            )
            for one in self.waiting.of_owner()
        )
        self._out.append(End(reason, unsent))

    def _spread(self, wait_ms: float) -> float:
        return wait_ms * (1 + _HOLD_SPREAD * self._chance())
