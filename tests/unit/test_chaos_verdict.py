"""The chaos run's arithmetic: it must see what is missing and what counts twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from game import rules
from game.rules import LiveSession
from game.session import Session, UserId
from scripts.chaos.plan import Kind, plan
from scripts.chaos.players import Player, first_session
from scripts.chaos.verdict import Verdict, judge
from scripts.clicker.accounts import PasswordAccount
from scripts.clicker.book import Entry
from seeds.files import read_catalogue

CATALOGUE = read_catalogue("en")
USER = UserId(7)


def player(kind: str) -> Player:
    """Make a player."""
    account = PasswordAccount("http://127.0.0.1:1", "a@b.c", "correct horse")
    return Player("anna", kind, account, first_session(kind, USER))


def entry(seq: int, kind: str, count: int, **answered: Any) -> Entry:
    """Write a line of the book."""
    return Entry("anna", "tab", seq, kind, 1, {"count": count}, "", answered)


def cooked(one: Player, clicks: int) -> Session:
    """Return what is stored after some cooks."""
    session = replace(one.start, bought=dict(one.start.bought), version=2)
    rules.cook(LiveSession.of(session, CATALOGUE), clicks, session.accrued_at_ms * 1000)
    return session


def verdict(one: Player, book: list[Entry], stored: Session) -> Verdict:
    """Judge one player whom Redis and PostgreSQL have alike."""
    return judge([one], book, {USER: stored}, {USER: stored}, CATALOGUE)


COOKS = [entry(1, "cook", 5, applied=5), entry(2, "cook", 3, applied=0, duplicate=True)]


@pytest.mark.parametrize(("stored", "lost", "doubled"), [(8, 0, 0), (5, 3, 0), (13, 0, 5)])
def test_cooks_that_are_missing_or_count_twice_are_seen(stored: int, lost: int, doubled: int) -> None:
    """A duplicate's first answer was lost: it counts, once."""
    cook = player("cook")
    found = verdict(cook, COOKS, cooked(cook, stored))
    assert (found.lost, found.doubled, found.is_clean) == (lost, doubled, not (lost or doubled))
    assert (found.answered, found.clicks, found.duplicates) == (2, 8, 1)


def test_income_that_was_paid_twice_is_seen() -> None:
    """Passive cooking comes to the seconds that were paid and no more."""
    idler = player("idler")
    live = LiveSession.of(replace(idler.start, bought=dict(idler.start.bought)), CATALOGUE)
    rules.passive(live, (live.session.accrued_at_ms + 60_000) * 1000, 28_800)
    assert verdict(idler, [], live.session).is_clean
    live.session.cooked += live.rates.dishes_per_second
    assert not verdict(idler, [], live.session).is_clean


def test_a_shop_is_played_through_again() -> None:
    """Each answer and the end must be those of the rules."""
    shop = player("shop")
    stored = cooked(shop, 10)
    said = entry(1, "cook", 10, applied=10, dishes=stored.dishes, xp=stored.xp / 100)
    assert verdict(shop, [said], stored).is_clean
    assert not verdict(shop, [replace(said, answered={"dishes": stored.dishes + 1})], stored).is_clean
    stored.money += 1
    assert not verdict(shop, [said], stored).is_clean


def test_stores_that_differ_are_seen() -> None:
    """Redis' session must be PostgreSQL's, field by field."""
    cook = player("cook")
    saved = cooked(cook, 8)
    live = replace(saved, resets=1.0)
    assert not judge([cook], COOKS, {USER: live}, {USER: saved}, CATALOGUE).is_clean
    assert not judge([cook], COOKS, {USER: live}, {}, CATALOGUE).is_clean


def test_a_plan_follows_from_its_seed_and_has_every_kind() -> None:
    """The same seed breaks the same things at the same moments."""
    faults = plan(5, 60, len(Kind))
    assert faults == plan(5, 60, len(Kind))
    assert faults != plan(6, 60, len(Kind))
    assert {fault.kind for fault in faults} == set(Kind)
    assert all(earlier.at_s <= later.at_s for earlier, later in pairwise(faults))
