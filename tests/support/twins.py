"""The same history played twice: by the Lua scripts on a real Redis, and by the Python model.

A history's commands go out in one write and are held against the model one by one: the reply, every field of
the hash, the dirty mark, the expiry, and what was published.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from game import adjusting, errors, golden, rates, refreshing, replacing, rules
from game.accrual import CAP_S
from game.achievements import achieve
from game.catalogue import UpgradeId, UpgradeType
from game.limit import UNLIMITED
from game.live_session import LiveSession
from persistence.live.catalogue_arguments import packed_boosts, packed_changes, packed_levels
from persistence.live.courses import COURSE_FIELDS, course_of
from persistence.live.hashes import fields_of, number_text, numbers_of
from persistence.live.keys import bucket_of
from persistence.live.progress_text import progress_text
from persistence.live.replies.clicks import REPLIES_OF_CLICKS
from tests.support.live_hash import by_name, with_values
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.replies import on_wire, published, refused, replied, words
from tests.support.wire import CLOCK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
BEHIND_MS: Final = 30_000
"""How far a clock may be behind after Redis lost its last changes; of lua/refresh.lua."""


@dataclass(slots=True)
class _Expected:
    """What must hold after a step; `grouped` is the kind of click whose call was shared, or ""."""

    request: str
    grouped: str
    reply: list[Any]
    fields: dict[str, str]
    marked_ms: int | None
    expires: bool


REQUESTING: Final = 0
LISTENING: Final = 1
"""The processes at which the player is joined."""


@dataclass(slots=True)
class _Sent:
    """What a process computed at a time: where in the replies its course is, and what Redis said."""

    process: int
    read_at: int
    asked_at: int
    now_ms: int
    stamp: str


@dataclass(slots=True)
class _Changed:
    """A change that a process heard of, or with version 0 the loss of all that it had heard."""

    process: int
    version: int


class Twins:
    """A player whose requests go to both. Requests are gathered; `hold` sends them and compares.

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
        self._unread: set[int] = {REQUESTING, LISTENING}
        self._courses: dict[int, int] = {}
        self._sent: list[_Sent | _Changed] = []
        self.computed = 0
        """How many pushes were computed and held against Redis."""
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
        self._saved = float(version)
        self._marked_ms, self._expires = None, True
        self._overwrite()
        self._plain("ZREM", self._dirty_key, self.live.session.user_id)
        self._plain("EXPIRE", self._key, SAVED_TTL_S)

    def forget_stamp(self) -> None:
        """Do what a load from PostgreSQL does to the derived fields, then derive them again."""
        self.stamp = ""
        self.live.joined_until_ms = 0
        # What PostgreSQL has knows of no push. The clock alone, unless it runs back, keeps versions ahead.
        self._sent += (_Changed(process, 0) for process in (REQUESTING, LISTENING))
        self._overwrite()
        self._plain("HDEL", self._key, "rates")
        self.refresh(self.live.catalogue)

    def grant(self, name: str, amount: float) -> None:
        """Put an amount into a field, by nobody's rules."""
        setattr(self.live.session, name, amount)
        if name == "stars":
            self.live.rates.click_xp = rates.click_xp_of(amount, self.live.rates.need)
        self._overwrite()

    def share(self, own: int) -> None:
        """Let the other process leave, or be there: as it comes, it reads."""
        self.own = own
        self._unread.add(LISTENING)
        if own:
            self._courses.pop(LISTENING, None)

    def _overwrite(self) -> None:
        """Put the model's numbers into the hash."""
        self._unread = {REQUESTING, LISTENING}
        held = with_values({}, {**self._numbers(), "stamp": self.stamp})
        self._plain("HSET", self._key, *itertools.chain.from_iterable(held.items()))

    # Requests, by both.

    def cook(
        self, count: int = 1, limit: Limit = UNLIMITED, tag: rules.Tag | None = None, cap_s: int = CAP_S
    ) -> None:
        """Cook by both."""
        self._both(
            "cook",
            (*_clicks(count, limit), *_tagged(tag), cap_s),
            lambda: rules.cook(self.live, count, self.now_us, limit, tag, cap_s=cap_s),
        )

    def sell(
        self, count: int = 1, limit: Limit = UNLIMITED, tag: rules.Tag | None = None, cap_s: int = CAP_S
    ) -> None:
        """Sell by both."""
        self._both(
            "sell",
            (*_clicks(count, limit), *_tagged(tag), cap_s),
            lambda: rules.sell(self.live, count, self.now_us, limit, tag, cap_s=cap_s),
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

    def passive(self, cap_s: int) -> None:
        """Pay income by both."""
        self._both("passive", (cap_s,), lambda: rules.passive(self.live, self.now_us, cap_s))

    def session(self, cap_s: int, client: str = "") -> None:
        """Show by both."""
        self._both("session", (cap_s, client), lambda: rules.session(self.live, self.now_us, cap_s, client))

    def golden_guest(self, serve: int, cap_s: int = CAP_S) -> None:
        """Ask for the next golden guest by both, and serve one first where `serve` is not 0."""
        self._both(
            "golden_guest",
            (cap_s, golden.GUESTS, serve),
            lambda: golden.golden_guest(self.live, self.now_us, cap_s, serve),
        )

    def achieve(self, achievements: tuple[Achievement, ...], packed: str, cap_s: int = CAP_S) -> None:
        """Look for achievements by both."""
        self._both(
            "achieve",
            (packed, cap_s),
            lambda: achieve(self.live, achievements, self.now_us, cap_s),
        )

    def adjust(self, what: str, by: float, number: int, cap_s: int = SAVED_TTL_S) -> list[Any]:
        """Make an operator's change by both; returns what is to be replied."""
        state, catalogue = self.live.session, self.live.catalogue
        before_version, published_before = state.version, len(self.published)
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
        self._heard(before_version, published=len(self.published) > published_before)
        self._step(f"adjust {what} by {by} at {self.now_us}", "adjust", (*common, *own), reply)
        return reply

    def replace(self, progress: replacing.Progress, number: int, cap_s: int = SAVED_TTL_S) -> list[Any]:
        """Import progress by both; returns what is to be replied."""
        state, catalogue = self.live.session, self.live.catalogue
        before_version, published_before = state.version, len(self.published)
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
        self._heard(before_version, published=len(self.published) > published_before)
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
            self._channel,
            packed_boosts(catalogue),
            packed_levels(catalogue),
            packed_changes(catalogue),
        )
        before, published_before = self.live.session.version, len(self.published)
        if stored and int(stored) > catalogue.generation:
            reply: list[Any] = [b"behind", self.stamp.encode()]
        else:
            if not stored:
                self.live = LiveSession(
                    self.live.session,
                    catalogue,
                    rates.rates_of(self.live.session, catalogue),
                    self.live.tat_us,
                    self.live.joined_until_ms,
                )
            state, raised = self.live.session, 0
            if not stored:
                # Nobody knows what was shown before it was loaded.
                state.version = raised = max(state.version, self.now_us // 1000) + BEHIND_MS
            refreshed = refreshing.refresh(self.live, catalogue, self.now_us, cap_s)
            if state.version == raised:
                state.version += 1
            reply = [b"ok", state.version, int(refreshed.passive)]
            self.stamp = stamp
            if said := published(refreshed, self.live.session):
                self.published.append(f"refresh {said}")
        if self.live.session.version != before:
            self._mark()
        self._heard(before, published=len(self.published) > published_before)
        self._step("refresh", "refresh", args, reply)

    def stale(self, script: str, *args: Any) -> None:
        """Call a script under another stamp: refused, and nothing happens."""
        common = ("0.elsewhere", self.live.session.user_id, self._channel, self.own, ORIGIN)
        self._step(f"stale {script}", script, (*common, *args), [b"stale", self.stamp.encode()])

    # What processes compute in between.

    def watch(self) -> None:
        """Let both processes at which the player is joined compute what they send now.

        One sends the requests, the other hears what is published. Each reads the session where it heard of a
        change. Redis is asked for the same, of a copy: it must say the same, under a higher version.
        """
        for process in sorted(self._unread - ({LISTENING} if self.own else set())):
            self._courses[process] = len(self._expected)
            self._plain("HMGET", self._key, *COURSE_FIELDS)
        self._unread &= {LISTENING} if self.own else set()
        copy, copied_marks = f"{self._key}:copy", f"{self._dirty_key}:copy"
        self._plain("COPY", self._key, copy, "REPLACE")
        self._plain("SET", CLOCK_KEY, self.now_us)
        now_ms = self.now_us // 1000
        for process, read_at in self._courses.items():
            self._sent.append(_Sent(process, read_at, len(self._expected), now_ms, self.stamp))
        common = (self.stamp, self.live.session.user_id, f"{self._channel}:copy", 0, ORIGIN, CAP_S)
        self._plain("EVALSHA", self._scripts["passive"].sha, 2, copy, copied_marks, *common)
        self._plain("DEL", copied_marks)

    def _heard(self, version: int, *, published: bool) -> None:
        """Note who hears of a step that left the session at a version."""
        heard = {REQUESTING, LISTENING} if published else {REQUESTING}
        self._unread |= heard
        if version != self.live.session.version:
            self._sent += (_Changed(process, self.live.session.version) for process in heard)

    def _hold_sent(self, replies: Sequence[Any]) -> None:
        """Hold what was computed against what Redis said, and versions against those sent before."""
        sent = dict.fromkeys((REQUESTING, LISTENING), 0)
        for event in self._sent:
            if isinstance(event, _Changed):
                assert event.version > sent[event.process] or not event.version
                sent[event.process] = event.version
                continue
            course = course_of(replies[event.read_at], event.stamp)
            seconds = -1 if course is None else course.seconds(event.now_ms)
            if course is None or course.flow is None or seconds < 0 or not course.may_compute(event.now_ms):
                continue
            status, version, money, dishes, rank, xp, accumulated, _ = replies[event.asked_at]
            amounts = tuple(map(float, (money, dishes, xp, accumulated)))
            for before in range(max(0, seconds - 3), seconds):  # in steps, as a ticker goes
                course.shown(before)
            assert (b"ok", rank, amounts) == (status, course.rank, course.shown(seconds))
            computed = course.version + seconds
            assert computed < version or not seconds
            if computed > sent[event.process]:
                sent[event.process] = computed
                self.computed += 1

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
        self._hold_sent(replies)
        self._commands.clear()
        self._expected.clear()
        self._sent.clear()
        self._courses.clear()
        self._unread = {REQUESTING, LISTENING}
        self.published.clear()

    def _plain(self, *command: Any) -> None:
        self._commands.append(command)
        self._expected.append(None)

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
        self._heard(before, published=len(self.published) > published_before)
        common = (self.stamp, state.user_id, self._channel, self.own, ORIGIN)
        self._step(f"{script} {args} at {self.now_us}", script, (*common, *args), reply)

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
        return fields | numbers | {"email": EMAIL, "stamp": self.stamp}

    def _numbers(self) -> dict[str, float]:
        """Return every number of the hash."""
        words = fields_of(self.live.session)
        derived = self.live.rates
        return {
            **numbers_of(dict(zip(words[::2], words[1::2], strict=True))),
            **{kind.value: amount for kind, amount in derived.sums.items()},
            "saved": self._saved,
            "joined_until": float(self.live.joined_until_ms),
            "cook_gain": derived.cook_gain,
            "click_xp": derived.click_xp,
            "need": derived.need,
            "first_need": float(self.live.catalogue.level_xp[1]),
            "tat": self.live.tat_us,
            "dirty": float(self._marked_ms is not None),
        }


def _clicks(count: int, limit: Limit) -> tuple[int | str, ...]:
    return count, repr(limit.interval_us) if limit.interval_us else "0", limit.burst


def _tagged(tag: rules.Tag | None) -> tuple[str, int | str]:
    return (tag.client, tag.seq) if tag else ("", "")
