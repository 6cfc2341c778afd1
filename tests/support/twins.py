"""The same history played twice: by the Lua scripts on a real Redis, and by the Python model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from game import adjusting, errors, golden, rates, refreshing, replacing, rules
from game.accrual import CAP_S
from game.achievements import achieve
from game.catalogue import UpgradeId, UpgradeType
from game.limit import UNLIMITED
from game.live_session import LiveSession
from persistence.live.catalogue_arguments import packed_boosts, packed_changes, packed_levels
from persistence.live.progress_text import progress_text
from tests.support.replies import on_wire, published, refused, words
from tests.support.twin_state import ORIGIN, SAVED_TTL_S, TwinState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.achievements import Achievement
    from game.catalogue import Catalogue
    from game.limit import Limit
    from game.session import Session
    from persistence.live.scripts import Script

RUN: Final = "run1"
NOW_US: Final = 1_764_000_000_123_456
"""When the histories of tests begin."""
BEHIND_MS: Final = 30_000
"""How far a clock may be behind after Redis lost its last changes; of lua/refresh.lua."""


class Twins(TwinState):
    """A player whose requests go to both."""

    def __init__(
        self, scripts: Mapping[str, Script], session: Session, catalogue: Catalogue, now_us: int
    ) -> None:
        super().__init__(scripts, session, catalogue, now_us)
        self.refresh(catalogue)

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
        self._heard(before_version, published_before)
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
        self._heard(before_version, published_before)
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
        self._heard(before, published_before)
        self._step("refresh", "refresh", args, reply)

    def forget_stamp(self) -> None:
        """Do what a load from PostgreSQL does to the derived fields, then derive them again."""
        self.stamp = ""
        self.live.joined_until_ms = 0
        # The clock alone, unless it runs back, keeps versions ahead.
        self._pushes.forgotten()
        self._overwrite()
        self._plain("HDEL", self._key, "rates")
        self.refresh(self.live.catalogue)

    def stale(self, script: str, *args: Any) -> None:
        """Call a script under another stamp: refused, and nothing happens."""
        common = ("0.elsewhere", self.live.session.user_id, self._channel, self.own, ORIGIN)
        self._step(f"stale {script}", script, (*common, *args), [b"stale", self.stamp.encode()])


def _clicks(count: int, limit: Limit) -> tuple[int | str, ...]:
    return count, repr(limit.interval_us) if limit.interval_us else "0", limit.burst


def _tagged(tag: rules.Tag | None) -> tuple[str, int | str]:
    return (tag.client, tag.seq) if tag else ("", "")
