"""Messages that repeat one before them: read by comparing, with the same result as parsed."""

from __future__ import annotations

import dataclasses
import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from game.session import UserId
from server.observability.metrics import RequestMetrics
from server.protocol.fields import MAX_REQUEST_ID_CHARS, MAX_SEQ, REQUEST_SHAPES
from server.protocol.messages import Refused, Request, parse
from server.protocol.patterns import MAX_PATTERN_BYTES, Pattern, pattern_of
from server.ws import dispatch as dispatch_module
from server.ws.dispatch import Dispatch
from server.ws.exchange import MAX_LEARNED, Exchange

if TYPE_CHECKING:
    from server.ws.connection import Connection
    from server.ws.responder import Responder

SEEDED: Final = settings(max_examples=1000, deadline=None, derandomize=True)

PLAIN: Final = '{"message_type":"request","request_id":"%s","request_type":"cook","data":{"token":"t.u-v"}}'
TAGGED: Final = (
    '{"message_type":"request","request_id":"%s","request_type":"sell",'
    '"data":{"token":"t.u-v","client":"tab","seq":%s}}'
)
LAYOUTS: Final = {
    "plain": PLAIN,
    "tagged": TAGGED,
    "with a count behind": TAGGED.replace("%s}}", '%s,"count":3}}'),
    "id last": '{"data":{"token":"t"},"message_type":"request","request_type":"cook","request_id":"%s"}',
    "spaced": PLAIN.replace(":", " : ").replace(",", " ,\n"),
    "tagged, spaced": TAGGED.replace(":", ": ").replace(",", ", "),
    "with words of its own": PLAIN.replace('"token"', '"mine":"a\\"seq\\":5","token"'),
}
IDS: Final = (
    "1",
    "42",
    "req_1.5:c",
    "007",
    "a",
    "8d3e2c1a-77b0-4c0e-9b3d-1f2e3d4c5b6a",
    "-1",
    "x" * MAX_REQUEST_ID_CHARS,
)
STRANGE_IDS: Final = (
    "",
    "-",
    "x" * (MAX_REQUEST_ID_CHARS + 1),
    "é",
    "\\u0041",
    "\\n",
    "\0",
    'a"',
    '1","request_type":"sell',
    "a b",
    "a+b",
)
SEQS: Final = ("1", "2", "999", "1000", str(MAX_SEQ))
STRANGE_SEQS: Final = (
    *("", "0", "-1", "007", "1.0", "1e3", "true", "null", '"5"', "[5]", " 7 ", "7 8", "7}", '7,"count":2'),
    *(str(MAX_SEQ + 1), "9" * 30, "\x0c7", "7,"),
)


def filled(layout: str, request_id: str, seq: str = "1") -> bytes:
    """Write a message with an id, and a seq where the layout has one."""
    return (layout % ((request_id, seq) if layout.count("%s") > 1 else request_id)).encode()


def pattern(payload: bytes) -> Pattern | None:
    """Return the pattern of a message that can be parsed."""
    return pattern_of(payload, parse(payload), REQUEST_SHAPES)


def learned(layout: str) -> Pattern:
    """Return the pattern of a layout."""
    found = pattern(filled(layout, "41"))
    assert found is not None
    return found


def parsed(payload: bytes) -> Request | None:
    """Parse a message; None where that is refused."""
    try:
        return parse(payload)
    except Refused:
        return None


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_what_repeats_is_read_as_it_would_be_parsed(layout: str) -> None:
    """Any usual id and any seq, also where the length of the id changes on the way."""
    known = learned(layout)
    for request_id in (*IDS, *IDS[::-1]):
        for seq in SEQS:
            payload = filled(layout, request_id, seq)
            assert known.read(payload) == parse(payload)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_strange_is_never_read_in_another_way(layout: str) -> None:
    """What stands where id and seq are expected is left to the parser, or means the same there."""
    known = learned(layout)
    for request_id, seq in [
        *((strange, "5") for strange in STRANGE_IDS),
        *(("5", strange) for strange in STRANGE_SEQS),
    ]:
        payload = filled(layout, request_id, seq)
        read = known.read(payload)
        assert read is None or read == parsed(payload)


@pytest.mark.parametrize("request_id", STRANGE_IDS)
def test_only_usual_ids_are_read(request_id: str) -> None:
    """Escapes, other letters and what is too long or too short are the parser's business."""
    assert learned(PLAIN).read(filled(PLAIN, request_id)) is None
    assert learned(TAGGED).read(filled(TAGGED, request_id)) is None


def test_ids_and_seqs_are_read_up_to_their_bounds() -> None:
    """The longest id and the greatest seq are read, the next ones are not."""
    longest, greatest = "x" * MAX_REQUEST_ID_CHARS, str(MAX_SEQ)
    assert learned(TAGGED).read(filled(TAGGED, longest, greatest)) == parse(filled(TAGGED, longest, greatest))
    assert learned(TAGGED).read(filled(TAGGED, longest + "x", greatest)) is None
    assert learned(TAGGED).read(filled(TAGGED, longest, str(MAX_SEQ + 1))) is None


@SEEDED
@given(
    st.sampled_from(list(LAYOUTS.values())),
    st.integers(0, 300),
    st.integers(0, 4),
    st.sampled_from([*STRANGE_IDS, *STRANGE_SEQS, "{", "}", ",", ":", '"', "\\", "cook", "u"]),
)
@example(PLAIN, 41, 0, '0"')
@example(TAGGED, len(TAGGED) - 4, 1, "")
@example(TAGGED, len(filled(TAGGED, "5", "6")) - 1, 1, "{")
def test_whatever_is_changed_in_a_message(layout: str, at: int, gone: int, put: str) -> None:
    """A message that was changed at any place is read as it would be parsed, or not at all."""
    payload = filled(layout, "5", "6").decode()
    changed = (payload[:at] + put + payload[at + gone :]).encode()
    read = learned(layout).read(changed)
    assert read is None or read == parsed(changed)


@pytest.mark.parametrize(
    "payload",
    [
        PLAIN.replace("request_id", "request\\u005fid") % "1",
        PLAIN % "a+b",
        (PLAIN % "1").replace('"data"', '"request_id":"1","data"'),
        (TAGGED % ("1", "2")).replace('"seq":2', '"seq":2,"seq":2'),
        (TAGGED % ("1", "2")).replace('"seq"', '"s\\u0065q"'),
        '{"data":{"token":"t","client":"c","seq":5},"message_type":"request","request_type":"cook","request_id":"1"}',
        TAGGED % ("1", MAX_SEQ),
        PLAIN % ("x" * MAX_REQUEST_ID_CHARS),
    ],
    ids=["escaped", "id", "id twice", "seq twice", "seq escaped", "seq first", "last seq", "longest id"],
)
def test_what_is_written_in_an_unusual_way_has_no_pattern(payload: str) -> None:
    """Where it is not certain which text makes the id and the seq, each message is parsed."""
    assert pattern(payload.encode()) is None


@pytest.mark.parametrize(("more", "known"), [(0, True), (1, False)])
def test_a_long_message_has_no_pattern(more: int, known: bool) -> None:
    """A connection keeps no long text."""
    short = (PLAIN % "1").encode()
    payload = short + b" " * (MAX_PATTERN_BYTES - len(short) + more)
    assert (pattern(payload) is not None) == known


class _Player:
    """A connection whose token was found good, as the dispatch sees it, and the requests that were begun."""

    def __init__(self) -> None:
        self.state: Any = None
        self.begun: list[Request] = []
        self.sent: list[bytes] = []
        self.answers = True
        self.dispatch = Dispatch(
            cast("Any", None),
            self._start,
            cast("Any", None),
            RequestMetrics(),
            turns=cast("Any", SimpleNamespace(add=lambda work: work())),
            max_count=1000,
        )
        self.dispatch.opened(cast("Connection", self), lambda: None)
        self.exchange: Exchange = cast("Any", self.state).exchange
        self.bind("t.u-v")

    def bind(self, token: str, expires_in_s: float = 60) -> None:
        """Have a token found good."""
        self.exchange.bind(token, UserId(1), "family", time.time() + expires_in_s)

    def says(self, *messages: str) -> None:
        """Receive messages."""
        for message in messages:
            self.dispatch.message_received(cast("Connection", self), message.encode())

    def send(self, payload: bytes) -> None:
        """Take what the connection would send."""
        self.sent.append(payload)

    def resume_reading(self) -> None:
        """Receive nothing that was not received at once."""

    def _start(self, responder: Responder, request: Request) -> None:
        self.begun.append(dataclasses.replace(request))
        if self.answers:
            responder.answer(b"answer", "ok")


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """List what the dispatch has parsed."""
    seen: list[bytes] = []

    def counted(payload: bytes, shapes: Any) -> Request:
        seen.append(payload)
        return parse(payload, shapes)

    monkeypatch.setattr(dispatch_module, "parse", counted)
    return seen


async def test_clicks_are_parsed_once(parses: list[bytes]) -> None:
    """The first cook and the first sell are, whatever comes between those that follow."""
    player = _Player()
    other = PLAIN.replace("cook", "session") % "9"
    player.says(PLAIN % "1", TAGGED % ("2", "1"), PLAIN % "3", other, TAGGED % ("4", "2"), PLAIN % "5")
    assert [json.loads(one.request_id_json) for one in player.begun] == ["1", "2", "3", "9", "4", "5"]
    assert [one.seq for one in player.begun] == [0, 1, 0, 0, 2, 0]
    assert parses == [(PLAIN % "1").encode(), (TAGGED % ("2", "1")).encode(), other.encode()]


async def test_a_pattern_ends_with_its_token(parses: list[bytes]) -> None:
    """After another token was found good, what came with the one before is a token like any other."""
    player = _Player()
    player.says(PLAIN % "1", PLAIN % "2")
    player.bind("another")
    assert player.exchange.patterns == ()
    later = PLAIN.replace("t.u-v", "another")
    player.says(later % "3", later % "4")
    assert len(player.begun) == 4
    assert parses == [(PLAIN % "1").encode(), (later % "3").encode()]
    player.says(PLAIN % "5")
    assert len(player.begun) == 4
    assert parses[2:] == [(PLAIN % "5").encode()]


async def test_nothing_is_learned_of_a_message_with_another_token() -> None:
    """Whatever text stands where the token stands, it never passes for the one that was found good."""
    player = _Player()
    for token in ("other", ""):
        strange = PLAIN.replace("t.u-v", token) % "1"
        player.exchange.learn(strange.encode(), parse(strange.encode()), REQUEST_SHAPES)
    assert player.exchange.patterns == ()
    player.says(PLAIN.replace("t.u-v", "other") % "2")
    assert player.begun == []


async def test_a_request_keeps_its_id_until_it_is_answered() -> None:
    """Messages that come meanwhile wait unread, though they follow the same pattern."""
    player = _Player()
    player.says(PLAIN % "1")
    player.answers = False
    player.says(PLAIN % "2", PLAIN % "3", PLAIN % "4")
    for number in ("2", "3", "4"):
        in_flight = player.exchange.request
        assert in_flight is not None
        assert in_flight.request_id_json == f'"{number}"'
        cast("Any", player.state).answer(b"answer", "ok")
    assert player.exchange.request is None


async def test_a_repeated_message_ends_a_row_of_invalid_ones() -> None:
    """Twenty in a row close the connection, and a click between them is no invalid message."""
    player = _Player()
    player.says(PLAIN % "1", "{}", PLAIN % "2")
    assert player.exchange.invalid_in_a_row == 0


async def test_an_expired_token_is_refused_though_its_message_repeats(parses: list[bytes]) -> None:
    """Comparing a message says what it asks for, not whether that is allowed."""
    player = _Player()
    player.says(PLAIN % "1")
    player.exchange.expires_at_s = time.time() - 1
    player.says(PLAIN % "2")
    assert len(player.begun) == len(parses) == 1
    assert b'"request_id":"2"' in player.sent[-1]
    assert b"token_invalid" in player.sent[-1]


async def test_only_so_many_messages_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose messages always look new keeps one pattern of a type; another token begins again."""
    looked: list[bytes] = []

    def counted(payload: bytes, request: Request, shapes: Any) -> Pattern | None:
        looked.append(payload)
        return pattern_of(payload, request, shapes)

    monkeypatch.setattr("server.ws.exchange.pattern_of", counted)
    player = _Player()
    for number in range(2 * MAX_LEARNED):
        player.says((PLAIN % number).replace('"token"', f'"count":{number + 1},"token"'))
    assert len(looked) == MAX_LEARNED
    assert len(player.exchange.patterns) == 1
    assert [one.count for one in player.begun] == list(range(1, 2 * MAX_LEARNED + 1))
    player.bind("t.u-v")
    player.says(PLAIN % "1")
    assert len(looked) == MAX_LEARNED + 1


async def test_a_message_without_a_token_is_not_looked_at() -> None:
    """Before any token was found good, the connection's is empty too."""
    player = _Player()
    player.exchange.token = ""
    player.says(PLAIN.replace("t.u-v", "") % "1", PLAIN.replace('"token":"t.u-v"', "") % "2")
    assert player.exchange.learned == 0
    assert player.begun == []
