"""A session in the model and in Redis at once: changed in both, called in both, compared.

A history's commands go out in one write and are held against the model one by one: the reply, every field of
the hash, the dirty mark, the expiry, and what was published.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from game import errors, rates
from game.live_session import LiveSession
from persistence.live.hashes import fields_of, number_text, numbers_of
from persistence.live.keys import bucket_of
from persistence.live.replies.clicks import REPLIES_OF_CLICKS
from tests.support.computed_pushes import ComputedPushes
from tests.support.live_hash import by_name, with_values
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.replies import published, refused, replied
from tests.support.wire import CLOCK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from game.catalogue import Catalogue
    from game.session import Session
    from persistence.live.scripts import Script
    from tests.support.wire import Wire

ORIGIN: Final = "elsewhere"
EMAIL: Final = "cook@example.org"
SAVED_TTL_S: Final = 1200


@dataclass(slots=True)
class _Expected:
    """What must hold after a step; `grouped` is the kind of click whose call was shared, or ""."""

    request: str
    grouped: str
    reply: list[Any]
    fields: dict[str, str]
    marked_ms: int | None
    expires: bool


class TwinState:
    """A player's session in the model and in Redis. Calls are gathered; `hold` sends them and compares.

    While `grouped` holds, cooks and sells share their call with a player whose session is broken.
    """

    def __init__(
        self, scripts: Mapping[str, Script], session: Session, catalogue: Catalogue, now_us: int
    ) -> None:
        self.live = LiveSession.of(session, catalogue)
        self.now_us = now_us
        self.stamp = ""
        self.own = 0
        self.grouped = False
        self.published: list[str] = []
        self._scripts = scripts
        self._key = session_key(session.user_id)
        self._dirty_key = dirty_key(bucket_of(session.user_id))
        self._channel = channel(session.user_id)
        self._saved = 0.0
        self._marked_ms: int | None = None
        self._expires = False
        self._expected: list[_Expected | None] = []
        self._commands: list[tuple[Any, ...]] = []
        self._broken_key = f"{self._key}:broken"
        self._plain("SET", self._broken_key, "not a hash")
        self._pushes = ComputedPushes(session.user_id, scripts["passive"].sha, self._plain)
        self._plain("DEL", self._key, self._dirty_key)
        self._plain("HSET", self._key, *fields_of(session, EMAIL, saved=0))

    # What happens besides requests.

    def wait(self, time_us: int) -> None:
        """Let time pass; a negative one sets the clock back."""
        self.now_us += time_us

    def save(self) -> None:
        """Do what a flush does once PostgreSQL has the session."""
        version = self.live.session.version
        self._saved = float(version)
        self._marked_ms, self._expires = None, True
        self._overwrite()
        self._plain("ZREM", self._dirty_key, self.live.session.user_id)
        self._plain("EXPIRE", self._key, SAVED_TTL_S)

    def grant(self, name: str, amount: float) -> None:
        """Put an amount into a field, by nobody's rules."""
        setattr(self.live.session, name, amount)
        if name == "stars":
            self.live.rates.click_xp = rates.click_xp_of(amount, self.live.rates.need)
        self._overwrite()

    def share(self, own: int) -> None:
        """Let the other process leave, or be there: as it comes, it reads."""
        self.own = own
        self._pushes.share(own)

    def _overwrite(self) -> None:
        """Put the model's numbers into the hash."""
        self._pushes.overwritten()
        held = with_values({}, {**self._numbers(), "stamp": self.stamp})
        self._plain("HSET", self._key, *itertools.chain.from_iterable(held.items()))

    def watch(self) -> None:
        """Let both processes at which the player is joined compute what they send now."""
        self._pushes.watch(self.stamp, self.own, self.now_us)

    # How both are compared.

    def hold(self, wire: Wire, subscriber: Wire | None = None) -> None:
        """Send what was gathered and hold every answer against the model.

        `subscriber` is subscribed to the player's channel, and must hear exactly what the model published.
        """
        self._plain("SPUBLISH", self._channel, "end")
        wire.send(*self._commands)
        replies: list[Any] = []
        for expected in self._expected:
            if expected is None:
                replies.append(wire.read())
                continue
            replies.append(None)
            wire.read()
            reply, fields, score, expiry = wire.read(), wire.read(), wire.read(), wire.read()
            if expected.grouped:
                fault, reply = REPLIES_OF_CLICKS[expected.grouped](reply)
                assert "WRONGTYPE" in str(fault), expected.request
            assert expected.reply == reply, expected.request
            held = by_name(dict(zip(fields[::2], fields[1::2], strict=True)))
            assert expected.fields == held, expected.request
            assert expected.marked_ms == (None if score is None else int(score)), expected.request
            assert expected.expires == (expiry > 0), expected.request
        if subscriber is not None:
            heard = []
            while (message := subscriber.read()[2].decode()) != "end":
                heard.append(message)
            assert self.published == heard
        self._pushes.hold(replies)
        self._commands.clear()
        self._expected.clear()
        self.published.clear()

    def _plain(self, *command: Any) -> int:
        """Gather a command; returns where among all replies its own will be."""
        self._commands.append(command)
        self._expected.append(None)
        return len(self._expected) - 1

    def _both(self, script: str, args: tuple[Any, ...], play: Callable[[], object]) -> None:
        state = self.live.session
        before, published_before = state.version, len(self.published)
        try:
            outcome = play()
        except errors.Refusal as refusal:
            reply = refused(refusal)
        else:
            reply = replied(outcome, state, self._saved, EMAIL)
            said = published(outcome, state)
            if said and not self.own:
                self.published.append(f"{ORIGIN} {said}")
        if state.version != before:
            self._mark()
        self._heard(before, published_before)
        common = (self.stamp, state.user_id, self._channel, self.own, ORIGIN)
        self._step(f"{script} {args} at {self.now_us}", script, (*common, *args), reply)

    def _heard(self, version: int, published: int) -> None:
        """Note who hears of what happened since the session had this version, and so much was published."""
        self._pushes.heard(version, self.live.session.version, published=len(self.published) > published)

    def _mark(self) -> None:
        if self._marked_ms is None:
            self._marked_ms, self._expires = self.now_us // 1000, False

    def _step(self, request: str, script: str, args: tuple[Any, ...], reply: list[Any]) -> None:
        grouped = script if self.grouped and script in {"cook", "sell"} else ""
        if grouped:
            called = self._grouped(script, *args)
        else:
            called = (self._scripts[script].sha, 2, self._key, self._dirty_key, *map(str, args))
        self._commands += (
            ("SET", CLOCK_KEY, self.now_us),
            ("EVALSHA", *called),
            ("HGETALL", self._key),
            ("ZSCORE", self._dirty_key, self.live.session.user_id),
            ("PTTL", self._key),
        )
        self._expected.append(
            _Expected(request, grouped, reply, self._fields(), self._marked_ms, self._expires)
        )

    def _grouped(  # noqa: PLR0917 - the arguments of `cook` and `sell`, in their order
        self,
        script: str,
        stamp: str,
        _user_id: int,
        channel: str,
        own: int,
        origin: str,
        count: int,
        interval_us: str,
        burst: int,
        client: str,
        seq: int | str,
        offline_cap_s: int,
    ) -> tuple[Any, ...]:
        """Arrange the words of a click for a call that a player with a broken session shares."""
        keys = (self._broken_key, self._dirty_key, self._key, self._dirty_key)
        broken = (channel, own, 1, "", "")
        shared = (stamp, origin, interval_us, burst, offline_cap_s)
        words = (*shared, *broken, channel, own, count, client, seq)
        return (self._scripts[f"{script}s"].sha, len(keys), *keys, *map(str, words))

    def _fields(self) -> dict[str, str]:
        words = fields_of(self.live.session)
        fields = by_name(dict(zip(words[::2], words[1::2], strict=True)))
        numbers = {name: number_text(value) for name, value in self._numbers().items()}
        texts = {"saved": number_text(self._saved), "email": EMAIL, "stamp": self.stamp}
        return fields | numbers | texts

    def _numbers(self) -> dict[str, float]:
        """Return every number of the hash."""
        words = fields_of(self.live.session)
        derived = self.live.rates
        return {
            **numbers_of(dict(zip(words[::2], words[1::2], strict=True))),
            **{kind.value: amount for kind, amount in derived.sums.items()},
            "joined_until": float(self.live.joined_until_ms),
            "cook_gain": derived.cook_gain,
            "click_xp": derived.click_xp,
            "need": derived.need,
            "first_need": float(self.live.catalogue.level_xp[1]),
            "tat": self.live.tat_us,
            "dirty": self._dirty(),
        }

    def _dirty(self) -> float:
        """Return what the hash says of the version that PostgreSQL has."""
        if self._marked_ms is not None:
            return 1 + self._saved
        return 0.0 if self._saved == self.live.session.version else -1 - self._saved
