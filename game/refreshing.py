"""A session's rates derived again, from another catalogue. Twin of `persistence/live/lua/refresh.lua`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from game.accrual import accrue, keep_away
from game.outcomes import Refreshed
from game.rates import rates_of

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from game.live_session import LiveSession


def refresh(live: LiveSession, catalogue: Catalogue, now_us: int, cap_s: int) -> Refreshed:
    """Derive the rates again from a catalogue.

    Income up to now is paid first; what was earned under an older one at its rates until it ended, from then
    on at the new ones. Where it is not known when it ended, it ends now.
    """
    state = live.session
    now_ms = now_us // 1000
    rates = rates_of(state, catalogue)
    pays = live.rates.passive or rates.passive
    version = live.next_version(now_ms)
    if pays:
        since_ms = state.accrued_at_ms
        ended_ms = catalogue.ended_ms(live.catalogue.generation)
        until_ms = now_ms if ended_ms is None else min(max(ended_ms, since_ms), now_ms)
        before = live.accrue(until_ms, cap_s)
        before.write(state)
        left_s = max(0, cap_s - (before.away.away_seconds if before.away else 0))
        since = accrue(state, rates, now_ms, left_s, live.joined_until_ms)
        since.write(state)
        if before.away is not None and since.away is not None:
            keep_away(state, before.away.plus(since.away))  # both are one gap to the player
        else:
            keep_away(state, before.away or since.away)
        if state.accrued_at_ms != since_ms:
            live.advance(version, now_ms)
    live.catalogue, live.rates = catalogue, rates
    return Refreshed(state.version, rates.passive, pays)
