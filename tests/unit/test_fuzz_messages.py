"""The message parser against whatever a client may send: a request of the right types, or a refusal."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.protocol.errors import InvalidMessage, UnknownRequest
from server.protocol.fields import MAX_CLIENT_CHARS, MAX_COUNT, MAX_REQUEST_ID_CHARS, MAX_SEQ, REQUEST_TYPES
from server.protocol.messages import (
    Refused,
    Request,
    error,
    parse,
)

SEEDED = settings(max_examples=500, deadline=None, derandomize=True)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "x" * 200, "\0", '"', "\\", "\u2028", "👩‍🍳", "*", "1:2", "money"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("token", "client", "seq", "count", "id", "by", "name", "__proto__")
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "message_type": st.just("request") | VALUES,
        "request_id": st.just("7") | VALUES,
        "request_type": st.sampled_from(sorted(REQUEST_TYPES)) | VALUES,
        "data": st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)) | VALUES,
    },
)
"""Objects with the right names and, mostly, something wrong in them."""

BITS_OF_JSON = st.lists(
    st.sampled_from(
        [*'{}[],:"\\', "null", "1e999", "-0", "NaN", "\\ud800", "\\u0000", '"request_id"', '"data"', "9" * 40]
    ),
    max_size=40,
).map("".join)


def judge(payload: bytes) -> None:
    """Parse a payload and check what came of it against the contract."""
    came = outcome(payload)
    if isinstance(came, Request):
        check_types(came)
        assert json.loads(came.request_id_json) == request_id_in(payload)
        return
    assert isinstance(came.refusal, InvalidMessage | UnknownRequest)
    answer = json.loads(error(came.request_id_json, came.refusal))
    assert set(answer) == {"message_type", "request_id", "request_type", "data"}
    assert (answer["message_type"], answer["request_type"]) == ("response", "error")
    assert answer["request_id"] in ("", request_id_in(payload))


def outcome(payload: bytes) -> Request | Refused:
    """Parse a payload; whatever else is raised fails the test."""
    try:
        return parse(payload)
    except Refused as fault:
        return fault


def request_id_in(payload: bytes) -> object:
    """Read the request id; None where there is none."""
    try:
        message = orjson.loads(payload)
    except ValueError:
        return None
    return message.get("request_id") if isinstance(message, dict) else None


def check_types(request: Request) -> None:
    """Check that nothing but what a handler expects has got through."""
    assert request.request_type in REQUEST_TYPES
    assert 0 < len(json.loads(request.request_id_json)) <= MAX_REQUEST_ID_CHARS
    assert type(request.token) is str
    assert type(request.count) is int
    assert 1 <= request.count <= MAX_COUNT
    assert type(request.seq) is int
    assert 0 <= request.seq <= MAX_SEQ
    assert type(request.client) is str
    assert len(request.client) <= MAX_CLIENT_CHARS
    assert "\0" not in request.client
    assert bool(request.client) or not request.seq
    wanted = {"upgrade_buy": int, "leaderboard": str, "name_set": str}
    if request.request_type in wanted and request.subject != "":
        assert type(request.subject) is wanted[request.request_type]


@SEEDED
@given(st.binary(max_size=200))
def test_bytes_are_a_request_or_refused(payload: bytes) -> None:
    """Whatever bytes arrive, nothing but a refusal is raised."""
    judge(payload)


@SEEDED
@given(BITS_OF_JSON)
@example("[" * 9_999)
@example('{"a":' * 1_500)
@example('{"request_id":' + "9" * 9_000 + "}")
@example('{"request_id":"\\ud800\\u0000"}')
def test_bits_of_json_are_a_request_or_refused(text: str) -> None:
    """Whatever is nearly JSON, deep and huge things included, nothing but a refusal is raised."""
    judge(text.encode())


@SEEDED
@given(NEARLY)
def test_objects_of_nearly_the_right_shape_are_a_request_or_refused(message: dict[str, Any]) -> None:
    """Whatever stands in the fields, what gets through has the types and bounds of the contract."""
    judge(json.dumps(message, allow_nan=True).encode())


@SEEDED
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=128),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=64),
    st.integers(1, MAX_SEQ),
)
def test_every_text_is_a_good_request_id_and_client(request_id: str, client: str, seq: int) -> None:
    """Quotes, newlines, separators and names that look like fields come through as they were sent."""
    data = {"token": "t", "client": client, "seq": seq}
    message = {"message_type": "request", "request_id": request_id, "request_type": "cook", "data": data}
    request = parse(json.dumps(message).encode())
    assert (json.loads(request.request_id_json), request.client, request.seq) == (request_id, client, seq)
