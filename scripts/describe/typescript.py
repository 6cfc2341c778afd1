"""The types of what goes over `/ws`, in TypeScript, made from what the code checks messages by. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scripts.describe.asyncapi import refusal_data, request_data, title
from scripts.describe.wire_shapes import NAMED, PUSHES, RESPONSES
from server.protocol.errors import REFUSALS
from server.protocol.fields import REQUEST_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BY_THE_LIBRARY: Final = frozenset({"token", "client", "seq"})
"""What the library itself puts into a request."""

_WORDS: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def describe() -> str:
    """Return the whole file: the parts, each request type's data and result, the pushes, the codes."""
    blocks = [_interface(name, shape) for name, shape in NAMED.items()]
    requests, pushes = {}, {}
    for kind in sorted(REQUEST_TYPES):
        name = title(kind)
        blocks += [
            _interface(f"{name}Request", _asked(request_data(kind))),
            _interface(f"{name}Result", RESPONSES[kind]),
        ]
        requests[kind] = f"{{ data: {name}Request; result: {name}Result }}"
    for kind, shape in PUSHES.items():
        if shape == RESPONSES.get(kind):
            pushes[kind] = f"{title(kind)}Result"
        else:
            pushes[kind] = f"{title(kind)}Push"
            blocks.append(_interface(pushes[kind], shape))
    codes = _or((_typed(_properties(refusal_data(refusal))["code"]) for refusal in REFUSALS), "\n\t")
    return "\n".join(
        [
            *blocks,
            _block("/** By request type: what it asks with, and its answer. */", "Requests", requests),
            _block("/** By kind: what the server says by itself. */", "Pushes", pushes),
            f"/** What a request may be refused with. */\nexport type Code =\n\t| {codes};\n",
        ]
    )


def _asked(data: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: shape for name, shape in _properties(data).items() if name not in _BY_THE_LIBRARY}
    return {**data, "properties": properties}


def _properties(shape: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = shape["properties"]
    return properties


def _interface(name: str, shape: Mapping[str, Any]) -> str:
    return f"export interface {name} {_typed(shape)}\n"


def _block(says: str, name: str, fields: Mapping[str, str]) -> str:
    lines = "".join(f"\t{field}: {typed};\n" for field, typed in fields.items())
    return f"{says}\nexport interface {name} {{\n{lines}}}\n"


def _typed(shape: Mapping[str, Any], indent: str = "") -> str:
    """Write a schema as a type; KeyError for one of a form that the wire does not have yet."""
    if "$ref" in shape:
        return str(shape["$ref"]).rpartition("/")[-1]
    if "const" in shape:
        return _literal(shape["const"])
    if "enum" in shape:
        return _or(_literal(value) for value in shape["enum"])
    if "anyOf" in shape:
        return _or(_typed(each, indent) for each in shape["anyOf"])
    match shape["type"]:
        case "array":
            return f"{_typed(shape['items'], indent)}[]"
        case "object":
            inner = f"{indent}\t"
            lines = "".join(
                f"{inner}{name}{'' if name in shape['required'] else '?'}: {_typed(each, inner)};\n"
                for name, each in _properties(shape).items()
            )
            return f"{{\n{lines}{indent}}}" if lines else "{}"
        case word:
            return _WORDS[word]


def _literal(value: object) -> str:
    return "true" if value is True else f'"{value}"'


def _or(types: Iterable[str], before: str = " ") -> str:
    return f"{before}| ".join(types)
