"""The same history played twice: by the Lua scripts on a real Redis, and by the Python model.

A history's commands go out in one write and are held against the model one by one: the reply, every field of
the hash, the dirty mark, the expiry, and what was published.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from game import adjusting, errors, rates, replacing, rules
from game.catalogue import UpgradeId, UpgradeType
from game.limit import UNLIMITED
from persistence.live.catalogue_arguments import packed_boosts, packed_changes, packed_levels
from persistence.live.hashes import fields_of, number_text, numbers_of
from persistence.live.keys import bucket_of
from persistence.live.progress_text import progress_text
from persistence.live.session_commands import MARK_AFTER_MS
from tests.support.live_hash import by_name, with_values
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.replies import on_wire, published, refused, replied, words
from tests.support.wire import CLOCK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from game.achievements import Achievement
    from game.catalogue import Catalogue
    from game.limit import Limit
    from game.session import Session
    from persistence.live.scripts import Script
    from tests.support.wire import Wire

ORIGIN: Final = "elsewhere"
EMAIL: Final = "cook@example.org"
RUN: Final = "run1"
NOW_US: Final = 1_764_000_000_123_456
"""When the histories of tests begin."""
SAVED_TTL_S: Final = 1200


@dataclass(slots=True)
class _Expected:
    """What must hold after a step."""

    request: str
    grouped: bool
    reply: list[Any]
    fields: dict[str, str]
    marked_ms: int | None
    expires: bool


class Twins:
    """A player whose requests go to both. Requests are gathered; `hold` sends them and compares.

    While `grouped` holds, cooks and sells share their call with a player whose session is broken.
    """

    def __init__(
        self, scripts: Mapping[str, Script], session: Session, catalogue: Catalogue, now_us: int
    ) -> None:
        self.live = rules.LiveSession.of(session, catalogue)
        self.now_us = now_us
        self.stamp = ""
        self.own = 0
        self.grouped = False
        self.published: list[str] = []
        self._scripts = scripts
        self._key = session_key(session.user_id)
        self._dirty_key = dirty_key(bucket_of(session.user_id))
        self._channel = channel(session.user_id)
        self._saved = {"saved": 0.0, "saved_at": 0.0}
        self._marked_ms: int | None = None
        self._expires = False
        self._expected: list[_Expected | None] = []
        self._commands: list[tuple[Any, ...]] = []
        self._broken_key = f"{self._key}:broken"
        self._plain("SET", self._broken_key, "not a hash")
        self._plain("DEL", self._key, self._dirty_key)
        self._plain("HSET", self._key, *fields_of(session, EMAIL, saved=0))
        self.refresh(catalogue)

    # What happens besides requests.

    def wait(self, time_us: int) -> None:
        """Let time pass; a negative one sets the clock back."""
        self.now_us += time_us

    def save(self) -> None:
        """Do what a flush does once PostgreSQL has the session."""
        version = self.live.session.version
        now_ms = self.now_us // 1000
        self._saved = {"saved": float(version), "saved_at": float(now_ms)}
        self._marked_ms, self._expires = None, True
        self._overwrite()
        self._plain("ZREM", self._dirty_key, self.live.session.user_id)
        self._plain("EXPIRE", self._key, SAVED_TTL_S)

    def forget_stamp(self) -> None:
        """Do what a load from PostgreSQL does to the derived fields, then derive them again."""
        self.stamp = ""
        self._plain("HDEL", self._key, "rates")
        self.refresh(self.live.catalogue)

    def grant(self, name: str, amount: float) -> None:
        """Put an amount into a field, by nobody's rules."""
        setattr(self.live.session, name, amount)
        if name == "stars":
            self.live.rates.click_xp = rates.click_xp_of(amount, self.live.rates.need)
        self._overwrite()

    def _overwrite(self) -> None:
        """Put the model's numbers into the hash."""
        held = with_values({}, {**self._numbers(), "stamp": self.stamp})
        self._plain("HSET", self._key, *itertools.chain.from_iterable(held.items()))

    # Requests, by both.

    def cook(self, count: int = 1, limit: Limit = UNLIMITED, tag: rules.Tag | None = None) -> None:
        """Cook by both."""
        self._both(
            "cook",
            (count, repr(limit.interval_us) if limit.interval_us else "0", limit.burst, *_tagged(tag)),
            lambda: rules.cook(self.live, count, self.now_us, limit, tag),
        )

    def sell(self, count: int = 1, limit: Limit = UNLIMITED, tag: rules.Tag | None = None) -> None:
        """Sell by both."""
        self._both(
            "sell",
            (count, repr(limit.interval_us) if limit.interval_us else "0", limit.burst, *_tagged(tag)),
            lambda: rules.sell(self.live, count, self.now_us, limit, tag),
        )

    def upgrade_buy(self, upgrade_id: int, cap_s: int, tag: rules.Tag | None = None, count: int = 1) -> None:
        """Buy by both."""
        upgrade = self.live.catalogue.by_id[UpgradeId(upgrade_id)]
        self._both(
            "upgrade_buy",
            (
                cap_s,
                *_tagged(tag),
                upgrade_id,
                count,
                repr(upgrade.price),
                repr(upgrade.price_factor),
                upgrade.access_level,
                int(upgrade.upgrade_type is UpgradeType.DISH),
                upgrade.boost.boost_type.value,
                upgrade.boost.value_hundredths,
            ),
            lambda: rules.upgrade_buy(self.live, upgrade_id, self.now_us, cap_s, tag, count),
        )

    def level_up(self, cap_s: int, tag: rules.Tag | None = None) -> None:
        """Level up by both."""
        levels = packed_levels(self.live.catalogue)
        self._both(
            "level_up",
            (cap_s, *_tagged(tag), levels),
            lambda: rules.level_up(self.live, self.now_us, cap_s, tag),
        )

    def session_reset(self, cap_s: int, tag: rules.Tag | None = None) -> None:
        """Reset by both."""
        self._both(
            "session_reset",
            (cap_s, *_tagged(tag)),
            lambda: rules.session_reset(self.live, self.now_us, cap_s, tag),
        )

    def passive(self, cap_s: int, mark_after_ms: int = 0) -> None:
        """Tick by both."""
        waits = mark_after_ms > 0 and abs(self.now_us // 1000 - self._saved["saved_at"]) < mark_after_ms
        self._both(
            "passive",
            (cap_s, mark_after_ms),
            lambda: rules.passive(self.live, self.now_us, cap_s),
            marks=not waits,
        )

    def session(self, cap_s: int, client: str = "") -> None:
        """Show by both."""
        self._both("session", (cap_s, client), lambda: rules.session(self.live, self.now_us, cap_s, client))

    def achieve(self, achievements: tuple[Achievement, ...], packed: str) -> None:
        """Look for achievements by both."""
        self._both("achieve", (packed,), lambda: rules.achieve(self.live, achievements, self.now_us))

    def adjust(self, what: str, by: float, number: int, cap_s: int = SAVED_TTL_S) -> list[Any]:
        """Make an operator's change by both; returns what is to be replied."""
        state, catalogue = self.live.session, self.live.catalogue
        try:
            outcome = adjusting.adjust(self.live, adjusting.Adjustment(what, by), number, self.now_us, cap_s)
        except errors.SeqTooOld as refusal:
            reply = refused(refusal)
        else:
            match outcome:
                case adjusting.Adjusted(version, before, after):
                    reply = [b"ok", version, on_wire(before), on_wire(after)]
                    self._mark()
                    self._publish_adjusted()
                case adjusting.AdjustedBefore(version):
                    reply = [b"duplicate", version]
                case adjusting.OutOfRange(before):
                    reply = [b"out_of_range", on_wire(before)]
                case adjusting.UnknownUpgrade():
                    reply = [b"upgrade_not_found"]
        common = (self.stamp, state.user_id, self._channel, self.own, ORIGIN)
        own = (
            cap_s,
            adjusting.OPERATORS,
            number,
            what,
            repr(by),
            packed_boosts(catalogue),
            packed_levels(catalogue),
        )
        self._step(f"adjust {what} by {by} at {self.now_us}", "adjust", (*common, *own), reply)
        return reply

    def replace(self, progress: replacing.Progress, number: int, cap_s: int = SAVED_TTL_S) -> list[Any]:
        """Import progress by both; returns what is to be replied."""
        state, catalogue = self.live.session, self.live.catalogue
        try:
            outcome = replacing.replace(self.live, progress, number, self.now_us, cap_s)
        except errors.SeqTooOld as refusal:
            reply = refused(refusal)
        else:
            match outcome:
                case replacing.Replaced(version, found):
                    reply = [b"ok", version, progress_text(found).encode()]
                    self._mark()
                    self._publish_adjusted()
                case adjusting.AdjustedBefore(version):
                    reply = [b"duplicate", version]
                case replacing.NotAllowed(what):
                    reply = [b"out_of_range", what.encode()]
        common = (self.stamp, state.user_id, self._channel, self.own, ORIGIN)
        text = progress_text(progress)
        own = (
            cap_s,
            adjusting.OPERATORS,
            number,
            text,
            packed_boosts(catalogue),
            packed_levels(catalogue),
        )
        self._step(f"replace by {text} at {self.now_us}", "replace", (*common, *own), reply)
        return reply

    def _publish_adjusted(self) -> None:
        """Say what a change tells all tabs, and the processes that pay passive income."""
        state = self.live.session
        self.published.append(f"{ORIGIN} {words('reloaded', state.version)}")
        if self.live.rates.passive:
            amounts = (state.money, state.dishes, state.rank, state.xp, state.accumulated)
            self.published.append(f"{ORIGIN} {words('passive', state.version, *amounts)}")

    def refresh(self, catalogue: Catalogue, cap_s: int = SAVED_TTL_S) -> None:
        """Derive again by both; refused where the session was derived from a newer catalogue."""
        stored = self.stamp.partition(".")[0]
        stamp = f"{catalogue.generation}.{RUN}"
        user_id = self.live.session.user_id
        args = (
            stamp,
            user_id,
            cap_s,
            MARK_AFTER_MS,
            self._channel,
            packed_boosts(catalogue),
            packed_levels(catalogue),
            packed_changes(catalogue),
        )
        before = self.live.session.version
        if stored and int(stored) > catalogue.generation:
            reply: list[Any] = [b"behind", self.stamp.encode()]
        else:
            if not stored:
                self.live = rules.LiveSession(
                    self.live.session,
                    catalogue,
                    rates.rates_of(self.live.session, catalogue),
                    self.live.tat_us,
                )
            state, raised = self.live.session, 0
            if not stored:
                # Nobody knows what was shown before it was loaded.
                newest = max(state.version, int(self._saved["saved_at"]), self.now_us // 1000)
                state.version = raised = newest + MARK_AFTER_MS
            refreshed = rules.refresh(self.live, catalogue, self.now_us, cap_s)
            if state.version == raised:
                state.version += 1
            reply = [b"ok", state.version, int(refreshed.passive)]
            self.stamp = stamp
            if said := published(refreshed, self.live.session):
                self.published.append(f"refresh {said}")
        if self.live.session.version != before:
            self._mark()
        self._step("refresh", "refresh", args, reply)

    def stale(self, script: str, *args: Any) -> None:
        """Call a script under another stamp: refused, and nothing happens."""
        common = ("0.elsewhere", self.live.session.user_id, self._channel, self.own, ORIGIN)
        self._step(f"stale {script}", script, (*common, *args), [b"stale", self.stamp.encode()])

    # How both are compared.

    def hold(self, wire: Wire, subscriber: Wire | None = None) -> None:
        """Send what was gathered and hold every answer against the model.

        `subscriber` is subscribed to the player's channel, and must hear exactly what the model published.
        """
        self._plain("SPUBLISH", self._channel, "end")
        wire.send(*self._commands)
        for expected in self._expected:
            if expected is None:
                wire.read()
                continue
            wire.read()
            reply, fields, score, expiry = wire.read(), wire.read(), wire.read(), wire.read()
            if expected.grouped:
                fault, reply = reply
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
        self._commands.clear()
        self._expected.clear()
        self.published.clear()

    def _plain(self, *command: Any) -> None:
        self._commands.append(command)
        self._expected.append(None)

    def _both(
        self, script: str, args: tuple[Any, ...], play: Callable[[], object], *, marks: bool = True
    ) -> None:
        state = self.live.session
        before = state.version
        try:
            outcome = play()
        except errors.Refusal as refusal:
            reply = refused(refusal)
        else:
            reply = replied(outcome, state, self._saved["saved"], EMAIL)
            said = published(outcome, state)
            if said and not self.own:
                self.published.append(f"{ORIGIN} {said}")
        if state.version != before and marks:
            self._mark()
        common = (self.stamp, state.user_id, self._channel, self.own, ORIGIN)
        self._step(f"{script} {args} at {self.now_us}", script, (*common, *args), reply)

    def _mark(self) -> None:
        if self._marked_ms is None:
            self._marked_ms, self._expires = self.now_us // 1000, False

    def _step(self, request: str, script: str, args: tuple[Any, ...], reply: list[Any]) -> None:
        grouped = self.grouped and script in {"cook", "sell"}
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
        user_id: int,
        channel: str,
        own: int,
        origin: str,
        count: int,
        interval_us: str,
        burst: int,
        client: str,
        seq: int | str,
    ) -> tuple[Any, ...]:
        """Arrange the words of a click for a call that a player with a broken session shares."""
        keys = (self._broken_key, self._dirty_key, self._key, self._dirty_key)
        broken = (user_id, channel, own, 1, "", "")
        shared = (stamp, origin, interval_us, burst)
        words = (*shared, *broken, user_id, channel, own, count, client, seq)
        return (self._scripts[f"{script}s"].sha, len(keys), *keys, *map(str, words))

    def _fields(self) -> dict[str, str]:
        words = fields_of(self.live.session)
        fields = by_name(dict(zip(words[::2], words[1::2], strict=True)))
        numbers = {name: number_text(value) for name, value in self._numbers().items()}
        return fields | numbers | {"email": EMAIL, "stamp": self.stamp}

    def _numbers(self) -> dict[str, float]:
        """Return every number of the hash."""
        words = fields_of(self.live.session)
        derived = self.live.rates
        return {
            **numbers_of(dict(zip(words[::2], words[1::2], strict=True))),
            **{kind.value: amount for kind, amount in derived.sums.items()},
            **self._saved,
            "cook_gain": derived.cook_gain,
            "click_xp": derived.click_xp,
            "need": derived.need,
            "first_need": float(self.live.catalogue.level_xp[1]),
            "tat": self.live.tat_us,
            "dirty": float(self._marked_ms is not None),
        }


def _tagged(tag: rules.Tag | None) -> tuple[str, int | str]:
    return (tag.client, tag.seq) if tag else ("", "")
