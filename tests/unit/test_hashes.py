"""A session survives its way through the packed fields of the hash and through a row's tuple."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from game.session import ClientWindow, Offline, Session, UserId
from persistence.durable.rows import row_of_hash, row_of_session
from persistence.live.hashes import (
    MalformedSessionError,
    bought_text,
    fields_of,
    number_text,
    packed_window,
    parse_offline,
    parse_window,
    session_of,
    text_of_window,
    unpacked_window,
    window_of_text,
)
from persistence.live.record import PACKED_RATES, Rates
from tests.support.live_hash import with_values

NANS = struct.pack("<4d", *[float("nan")] * 4)
AMOUNT = st.one_of(
    st.integers(0, 2**53).map(float),
    st.floats(0, 1e300),
    st.sampled_from([0.0, 2.0**53, 1e15, 1e16, 1e17, 1e300]),
)
NAME = st.text(min_size=1, max_size=64)
WINDOW = st.builds(
    ClientWindow, st.integers(0, 2**53 - 1), st.integers(0, 2**64 - 1), st.integers(10**11, 2**53 - 1)
)
SESSION = st.builds(
    Session,
    user_id=st.integers(1, 2**40).map(UserId),
    version=st.integers(1, 2**53),
    accrued_at_ms=st.integers(0, 2**45),
    money=AMOUNT,
    dishes=AMOUNT,
    rank=st.integers(0, 100),
    xp=AMOUNT,
    stars=AMOUNT,
    accumulated=AMOUNT,
    boost=AMOUNT,
    bought=st.dictionaries(st.integers(1, 99), st.integers(1, 10_000)),
    clicks=AMOUNT,
    cooked=AMOUNT,
    earned=AMOUNT,
    purchases=AMOUNT,
    resets=AMOUNT,
    achieved=st.lists(st.integers(1, 99), unique=True).map(lambda ids: tuple(sorted(ids))),
    offline=st.none()
    | st.builds(
        Offline,
        seconds=st.integers(0, 28_800),
        away_seconds=st.integers(0, 10**9),
        money=AMOUNT,
        dishes=AMOUNT.map(lambda x: -x),
        xp=AMOUNT,
        stars=AMOUNT,
    ),
    clients=st.dictionaries(NAME, WINDOW, max_size=4),
)


def as_hash(session: Session) -> dict[bytes, bytes]:
    """Make what HGETALL would reply."""
    fields = fields_of(session)
    return dict(zip(fields[::2], fields[1::2], strict=True))


@given(SESSION)
def test_a_session_written_to_a_hash_reads_back_the_same(session: Session) -> None:
    """Every double, name of a client and packed text comes back as it was."""
    assert session == session_of(session.user_id, as_hash(session))


@given(SESSION)
def test_the_row_of_a_hash_is_the_row_of_its_session(session: Session) -> None:
    """What Redis alone holds is no part of it, but for the rates and the generation they come from."""
    rates = PACKED_RATES.pack(*range(len(Rates._fields)))
    live = {b"rates": rates + b"3.run"}
    dirty = fields_of(session, "x@example.org", dirty=True, saved=7, joined_until_ms=8)
    fields = dict(zip(dirty[::2], dirty[1::2], strict=True)) | live
    plain, row = row_of_session(session), row_of_hash(session.user_id, fields)
    assert (row.user_id, row.version) == (plain.user_id, plain.version)
    nulls = struct.pack(">ii", -1, -1)
    assert plain.line.endswith(nulls)
    assert row.line == plain.line.removesuffix(nulls) + struct.pack(">iqi", 8, 3, len(rates)) + rates


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "0"), (11.0, "11"), (2.0**53, "9007199254740992"), (1e16, "10000000000000000"), (0.5, "0.5")],
)
def test_whole_numbers_are_written_as_digits(amount: float, text: str) -> None:
    """Numbers below 1e17 carry no exponent."""
    assert text == number_text(amount)


def test_upgrades_stand_by_ascending_id_and_only_owned_ones() -> None:
    """The packed text is the same whatever the order of buying."""
    assert bought_text({45: 2, 1: 1, 7: 0}) == "1:1,45:2"


def test_a_window_is_written_in_two_halves() -> None:
    """Each half of the 64 bits fits a double, in the hash and as PostgreSQL's text."""
    window = ClientWindow(70, (5 << 32) | 9, 1_700_000_000_123)
    packed = packed_window(window)
    assert struct.unpack("<4d", packed) == (70, 5, 9, 1_700_000_000_123)
    assert text_of_window(packed) == "70:5:9:1700000000123"
    assert window_of_text("70:5:9:1700000000123") == packed
    assert parse_window("70:5:9:1700000000123") == window == unpacked_window(packed)


def test_a_window_of_an_older_release_is_read() -> None:
    """Its last use is in whole seconds; it stays as it was written until the client is used again."""
    assert parse_window("70:0:9:1700000000") == ClientWindow(70, 9, 1_700_000_000_000)
    assert text_of_window(window_of_text("70:0:9:1700000000")) == "70:0:9:1700000000"


@pytest.mark.parametrize("name", ["now", "life", "texts"])
def test_a_missing_field_is_named(name: str) -> None:
    """A hash without its rank is reported, not taken for rank 0."""
    fields = as_hash(Session(UserId(5), 1, 1))
    del fields[name.encode()]
    with pytest.raises(MalformedSessionError, match=name):
        session_of(UserId(5), fields)
    with pytest.raises(MalformedSessionError, match=name):
        row_of_hash(UserId(5), fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [("now", b"short"), ("life", bytes(80)), ("texts", b"1:1;"), ("c:tab", b"1"), ("c:tab", NANS)],
)
def test_a_field_of_another_length_is_refused(name: str, value: bytes) -> None:
    """Nothing is read from bytes that were packed by other rules."""
    fields = as_hash(Session(UserId(5), 1, 1)) | {name.encode(): value}
    with pytest.raises(MalformedSessionError):
        session_of(UserId(5), fields)
    with pytest.raises(MalformedSessionError):
        row_of_hash(UserId(5), fields)


@pytest.mark.parametrize("name", ["version", "accrued_at", "rank"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e300"])
def test_a_number_that_is_no_whole_one_is_refused(name: str, value: str) -> None:
    """What PostgreSQL keeps as an integer must be one, and fit."""
    fields = with_values(as_hash(Session(UserId(5), 1, 1)), {name: value})
    with pytest.raises(MalformedSessionError):
        row_of_hash(UserId(5), fields)


def test_a_client_whose_name_is_not_text_is_refused() -> None:
    """Bytes that are not UTF-8 are reported."""
    fields = as_hash(Session(UserId(5), 1, 1)) | {b"c:\xff": packed_window(ClientWindow(1, 1, 0))}
    with pytest.raises(MalformedSessionError, match="UTF-8"):
        row_of_hash(UserId(5), fields)


def test_net_dishes_away_may_be_negative() -> None:
    """Selling while away can cost more dishes than were cooked."""
    assert parse_offline("60:100:-3:5:90:7") == Offline(60, 90, 100.0, -3.0, 5.0, 7.0)


def test_what_an_older_release_kept_of_a_gap_is_read() -> None:
    """Four numbers: the gap is what was paid of it, and no stars are known."""
    assert parse_offline("60:100:-3:5") == Offline(60, 60, 100.0, -3.0, 5.0, 0.0)
