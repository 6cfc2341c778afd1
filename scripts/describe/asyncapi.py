"""The description of `/ws` as AsyncAPI 3, made from what the code checks messages by. Pure."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Final

from scripts.describe.wire_shapes import NAMED, PUSHES, RESPONSES, Schema, named, shape
from server.http.heads import WEBSOCKET_PATH
from server.protocol.close_codes import CloseCode
from server.protocol.errors import REFUSALS
from server.protocol.fields import (
    ADDED,
    MAX_REQUEST_ID_CHARS,
    REQUEST_SHAPES,
    REQUEST_TYPES,
    Choice,
    Text,
    WholeNumber,
)
from server.ws.limits import ConnectionLimits

if TYPE_CHECKING:
    from game.errors import Refusal
    from server.protocol.fields import Field

_NEVER_SEEN: Final = {CloseCode.ABNORMAL}
_MEANINGS: Final = {
    CloseCode.NORMAL: "the client's own goodbye, answered",
    CloseCode.GOING_AWAY: "the server goes away: reconnect",
    CloseCode.PROTOCOL_ERROR: "frames against RFC 6455",
    CloseCode.BINARY: "a binary message",
    CloseCode.NOT_UTF8: "text that is not UTF-8",
    CloseCode.POLICY: "no token in time, 20 invalid messages in a row, too many fragments or pings",
    CloseCode.TOO_BIG: "a message that is too long",
    CloseCode.INTERNAL_ERROR: "a fault of the server: reconnect",
    CloseCode.TOO_BUSY: "past a limit on connections: reconnect later",
    CloseCode.SLOW_READER: "the client reads too slowly",
    CloseCode.REVOKED: "the log-in was revoked: log in again",
    CloseCode.TOO_MANY_CONNECTIONS: "the user has too many connections; the newest is closed",
}
_TO_WHOM: Final = f"Goes only to connections that have sent `client`, or one of {', '.join(sorted(ADDED))}."
_WITHOUT_NUL: Final = r"^[^\u0000]*$"


def field_schema(field: Field) -> Schema:
    """Describe a field of a request as the parser checks it."""
    match field:
        case WholeNumber():
            schema: Schema = {"type": "integer"}
            if field.bounds is not None:
                schema["minimum"], schema["maximum"] = field.bounds
        case Text():
            schema = {"type": "string"}
            if field.min_chars:
                schema["minLength"] = field.min_chars
            schema["maxLength"] = field.max_chars
            if field.without_nul:
                schema["pattern"] = _WITHOUT_NUL
        case Choice():
            schema = {"type": "string", "enum": list(field.choices), "default": field.default}
    if field.description:
        schema["description"] = field.description
    return schema


def request_data(request_type: str) -> Schema:
    """Describe the data of a request by the fields that the parser reads; KeyError for an unknown type."""
    declared = REQUEST_SHAPES[request_type]
    required: dict[str, Schema] = {}
    optional: dict[str, Schema] = {"token": {"type": "string"}}
    for field in declared.fields:
        has_default = field.default is not None
        (required if field.required and not has_default else optional)[field.name] = field_schema(field)
    data = shape(required, optional)
    if declared.tagged:
        data["dependentRequired"] = {"client": ["seq"], "seq": ["client"]}
    return data


def refusal_data(refusal: type[Refusal]) -> Schema:
    """Describe the data of an error: its code, the pattern of its text, and what `details` adds."""
    parameters = inspect.signature(refusal.__init__).parameters.values()
    values = [1 for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"]
    switches = {one.name: True for one in parameters if one.kind is one.KEYWORD_ONLY}
    pattern = re.sub(r"\\\{\w+\\\}", ".+", re.escape(refusal.text)).replace(r"\ ", " ")
    required: dict[str, Schema] = {
        "code": {"const": refusal.code},
        "message": {"type": "string", "pattern": f"^{pattern}$"},
    }
    always = refusal(*values).details()
    required |= {name: _type_of(value) for name, value in always.items()}
    sometimes = refusal(*values, **switches).details()
    optional = {name: _type_of(value) for name, value in sometimes.items() if name not in always}
    return shape(required, optional)


def _type_of(value: float) -> Schema:
    return {"const": True} if value is True else {"type": "integer", "minimum": 0}


def _envelope(message_type: str, request_type: Schema, request_id: Schema, data: Schema) -> Schema:
    return shape(
        {
            "message_type": {"const": message_type},
            "request_id": request_id,
            "request_type": request_type,
            "data": data,
        }
    )


_REQUEST_ID: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_REQUEST_ID_CHARS,
    "pattern": _WITHOUT_NUL,
}
_ANSWERED_ID: Final[Schema] = {
    "type": "string",
    "description": 'That of the request; "" where none was read.',
}


def schemas() -> dict[str, Schema]:
    """Return every schema by its name: `CookRequest`, `CookResponse`, `CookPush`, `Error` and their parts."""
    found = dict(NAMED)
    for kind in sorted(REQUEST_TYPES):
        request = _envelope("request", {"const": kind}, _REQUEST_ID, request_data(kind))
        found[f"{title(kind)}Request"] = request
        found[f"{title(kind)}Response"] = _envelope(
            "response", {"const": kind}, _ANSWERED_ID, RESPONSES[kind]
        )
    for kind, data in PUSHES.items():
        found[f"{title(kind)}Push"] = _envelope("response", {"const": kind}, {"const": ""}, data)
    data = {"oneOf": [refusal_data(refusal) for refusal in REFUSALS]}
    found["Error"] = _envelope("response", {"const": "error"}, _ANSWERED_ID, data)
    return found


def title(kind: str) -> str:
    """Write a request type as part of a schema's name: `level_up` becomes `LevelUp`."""
    return "".join(word.capitalize() for word in kind.split("_"))


def describe() -> dict[str, object]:
    """Return the whole document."""
    limits = ConnectionLimits()
    found = schemas()
    shown = [name for name in found if name.endswith(("Request", "Response", "Push")) or name == "Error"]
    channel = {"$ref": "#/channels/game"}
    operations: dict[str, dict[str, object]] = {}
    for kind in sorted(REQUEST_TYPES):
        answers = [_message(f"{title(kind)}Response"), _message("Error")]
        operations[kind] = {
            "action": "receive",
            "channel": channel,
            "messages": [_message(f"{title(kind)}Request")],
            "reply": {"channel": channel, "messages": answers},
        }
    for kind in PUSHES:
        operations[f"push_{kind}"] = {
            "action": "send",
            "channel": channel,
            "messages": [_message(f"{title(kind)}Push")],
        }
        if kind not in RESPONSES:
            operations[f"push_{kind}"] |= {"description": _TO_WHOM}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Click & Cook: /ws",
            "version": "1.0.0",
            "description": "The words that go with this are in protocol.md. Every request gets exactly one "
            f"response, in order. Text messages of at most {limits.max_message_bytes} bytes; the server "
            f"pings every {limits.ping_interval_s:.0f} s and drops a peer that is silent for "
            f"{limits.silence_s:.0f} s.",
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:1323", "protocol": "ws"}},
        "channels": {
            "game": {
                "address": WEBSOCKET_PATH,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in shown},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
                "x-close-codes": {
                    code.value: _MEANINGS[code] for code in CloseCode if code not in _NEVER_SEEN
                },
            }
        },
        "operations": operations,
        "components": {
            "messages": {name: {"payload": named(name)} for name in shown},
            "schemas": found,
        },
    }


def _message(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/game/messages/{name}"}
