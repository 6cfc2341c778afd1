"""The messages on /ws: requests are parsed and checked, responses are assembled as text.

Pure: bytes in, values out; values in, bytes out. The wire contract is docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from server.protocol.errors import InvalidMessage, UnknownRequest
from server.protocol.fields import MAX_CLIENT_CHARS, MAX_REQUEST_ID_CHARS, MAX_SEQ, REQUEST_SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.errors import Refusal
    from server.protocol.fields import RequestShape

PUSH: Final = '""'
"""The request id, as JSON, of what answers no request of its receiver."""


class Refused(Exception):  # noqa: N818 - carries a refusal to the code that answers
    """A message that is no request: why, and its request id and type where they could be read."""

    def __init__(self, refusal: Refusal, request_id_json: str = PUSH, request_type: str = "unknown") -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.request_id_json = request_id_json
        self.request_type = request_type


@dataclass(slots=True)
class Request:
    """A request whose shape is right. `token` is "" when none was given; `seq` 0 means none.

    `subject` is the upgrade's id, the leaderboard's `by`, or the name, as the type wants it.
    """

    request_id_json: str
    request_type: str
    token: str
    count: int = 1
    client: str = ""
    seq: int = 0
    subject: int | str = ""


def parse(  # noqa: C901, PLR0912 - one guard a rule, hot
    payload: bytes, shapes: Mapping[str, RequestShape] = REQUEST_SHAPES
) -> Request:
    """Parse one text message into a request.

    `shapes` are those of `request_shapes`, for the largest `count` a client may send. Raises Refused: answer
    with its refusal.
    """
    try:
        message = orjson.loads(payload)
    except ValueError:
        raise _invalid("not JSON") from None
    if message.__class__ is not dict:
        raise _invalid("not an object")
    request_id = message.get("request_id")
    if request_id.__class__ is not str or not 0 < len(request_id) <= MAX_REQUEST_ID_CHARS:
        raise _invalid(f"request_id must be a text of 1 to {MAX_REQUEST_ID_CHARS} characters")
    if request_id.isalnum() and request_id.isascii():
        request_id_json = f'"{request_id}"'
    else:
        if "\0" in request_id:
            raise _invalid("request_id must not contain NUL")
        request_id_json = orjson.dumps(request_id).decode()
    if message.get("message_type") != "request":
        raise _invalid('message_type must be "request"', request_id_json)
    request_type = message.get("request_type")
    if request_type.__class__ is not str:
        raise _invalid("request_type must be a text", request_id_json)
    data = message.get("data")
    if data.__class__ is not dict:
        raise _invalid("data must be an object", request_id_json)
    token = data.get("token")
    if token.__class__ is not str:
        if token is not None:
            raise _invalid("token must be a text", request_id_json)
        token = ""
    shape = shapes.get(request_type)
    if shape is None:
        raise Refused(UnknownRequest(), request_id_json)
    request = Request(request_id_json, request_type, token)
    if len(data) > ("token" in data) or shape.always_read:
        _read_fields(request, shape, data)
    return request


def _read_fields(request: Request, shape: RequestShape, data: dict[str, Any]) -> None:
    """Check the fields of a request and keep their values; raises Refused at the first that is not right."""
    readers = shape.readers
    if shape.tagged:
        # Taken at once: tags are on the path of a click, and the loop takes twice the time for the same rules
        client = data.get("client")
        seq = data.get("seq")
        if (
            client.__class__ is str
            and seq.__class__ is int
            and 0 < len(client) <= MAX_CLIENT_CHARS
            and 0 < seq <= MAX_SEQ
            and "\0" not in client
        ):
            request.client = client
            request.seq = seq
            readers = shape.own_readers
    for field, name, default, required, is_good, attribute in readers:
        value = data.get(name, default)
        if value is None and not required:
            continue
        if not is_good(value):
            raise _bad(request, f"{name} must be {field.rule}")
        setattr(request, attribute, value)
    if shape.tagged and (not request.client) is not (not request.seq):
        raise _bad(request, "client and seq go together")


def _invalid(why: str, request_id_json: str = PUSH) -> Refused:
    return Refused(InvalidMessage(why), request_id_json)


def _bad(request: Request, why: str) -> Refused:
    return Refused(InvalidMessage(why), request.request_id_json, request.request_type)


def response(request_id_json: str, request_type: str, data: str) -> bytes:
    """Assemble a response from JSON parts; `data` is an object's text with its braces."""
    return (
        f'{{"message_type":"response","request_id":{request_id_json},"request_type":"{request_type}","data":{data}}}'
    ).encode()


def error(request_id_json: str, refusal: Refusal) -> bytes:
    """Assemble an error response."""
    data = {"code": refusal.code, "message": refusal.message, **refusal.details()}
    return response(request_id_json, "error", orjson.dumps(data).decode())
