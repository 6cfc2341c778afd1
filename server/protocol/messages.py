"""The messages on /ws: requests are parsed and checked, responses are assembled as text.

Pure: bytes in, values out; values in, bytes out. The wire contract is docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from game.errors import InvalidMessage, Refusal, UnknownRequest

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_REQUEST_ID_CHARS: Final = 128
MAX_CLIENT_CHARS: Final = 64
MAX_SEQ: Final = 2**53 - 1
MAX_COUNT: Final = 1000
MAX_NAME_CHARS: Final = 64
"""Longer names are not even looked at; the name's own rule is stricter."""

STATE_CHANGING: Final = frozenset({"cook", "sell", "upgrade_buy", "level_up", "session_reset"})
"""Requests that take `client` and `seq`."""

REQUEST_TYPES: Final = STATE_CHANGING | {
    "session",
    "upgrade_list",
    "level_check",
    "passive",
    "leaderboard",
    "achievements",
    "name_set",
}

PUSH: Final = '""'
"""The request id, as JSON, of what answers no request of its receiver."""


class Refused(Exception):  # noqa: N818 - carries a refusal to whoever answers
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


def parse(payload: bytes, max_count: int = MAX_COUNT) -> Request:  # noqa: C901, PLR0912 - one guard a rule, hot
    """Parse one text message into a request.

    `max_count` is the largest `count` a client may send. Raises Refused: answer with its
    refusal.
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
    if request_type not in REQUEST_TYPES:
        raise Refused(UnknownRequest(), request_id_json)
    request = Request(request_id_json, request_type, token)
    if len(data) > ("token" in data) or request_type in _NEED_DETAILS:
        read = _DETAILS.get(request_type)
        if read is not None:
            read(request, data, max_count)
    return request


def _read_client(request: Request, data: dict[str, Any], _max_count: int) -> None:
    client = data.get("client")
    if client is None:
        return
    if client.__class__ is not str or not 0 < len(client) <= MAX_CLIENT_CHARS or "\0" in client:
        raise _bad(request, f"client must be a text of 1 to {MAX_CLIENT_CHARS} characters without NUL")
    request.client = client


def _read_tag(request: Request, data: dict[str, Any], max_count: int) -> None:
    _read_client(request, data, max_count)
    seq = data.get("seq")
    if seq is not None:
        if seq.__class__ is not int or not 1 <= seq <= MAX_SEQ:
            raise _bad(request, f"seq must be a whole number from 1 to {MAX_SEQ}")
        request.seq = seq
    if (not request.client) is not (seq is None):
        raise _bad(request, "client and seq go together")


def _read_click(request: Request, data: dict[str, Any], max_count: int) -> None:
    _read_tag(request, data, max_count)
    count = data.get("count")
    if count is not None:
        if count.__class__ is not int or not 1 <= count <= max_count:
            raise _bad(request, f"count must be a whole number from 1 to {max_count}")
        request.count = count


def _read_id(request: Request, data: dict[str, Any], max_count: int) -> None:
    _read_tag(request, data, max_count)
    upgrade_id = data.get("id")
    if upgrade_id.__class__ is not int:
        raise _bad(request, "id must be a whole number")
    request.subject = upgrade_id


def _read_by(request: Request, data: dict[str, Any], _max_count: int) -> None:
    by = data.get("by", "money")
    if by not in ("money", "stars"):
        raise _bad(request, 'by must be "money" or "stars"')
    request.subject = by


def _read_name(request: Request, data: dict[str, Any], _max_count: int) -> None:
    name = data.get("name")
    if name.__class__ is not str or len(name) > MAX_NAME_CHARS:
        raise _bad(request, f"name must be a text of at most {MAX_NAME_CHARS} characters")
    request.subject = name


_DETAILS: Final[dict[str, Callable[[Request, dict[str, Any], int], None]]] = {
    "cook": _read_click,
    "sell": _read_click,
    "upgrade_buy": _read_id,
    "level_up": _read_tag,
    "session_reset": _read_tag,
    "session": _read_client,
    "leaderboard": _read_by,
    "name_set": _read_name,
}
"""What reads the fields besides the token that a type of request has."""

_NEED_DETAILS: Final = frozenset({"upgrade_buy", "name_set"})


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
