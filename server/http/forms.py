"""The fields of a body: JSON, urlencoded or multipart, whichever a client sends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from server.http.error_answers import BodyRefused, NotEnoughData

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from server.http.messages import HttpRequest

_MAX_FIELDS: Final = 64
_MAX_ESCAPES: Final = 2048
_MAX_PARTS: Final = 16
_MAX_OPTIONS_BYTES: Final = 512
_MAX_PART_HEADER_BYTES: Final = 2048
"""Of all parts together: their headers are read byte by byte."""
_PIECE_BYTES: Final = 1024
_MULTIPART_REFUSED: Final = "malformed body: not multipart/form-data in UTF-8"

# The library reports each malformed body, quoting it; the refusal is all that is wanted.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def read_fields(request: HttpRequest, *names: str, optional: Container[str] = ()) -> tuple[str, ...]:
    """Return the named fields of a request's body, in order; "" for an optional one that is not there.

    Raises BodyRefused (400 for what cannot be parsed, 415 for another type) and NotEnoughData when another is
    missing or empty. Of a field sent twice the last counts; files count as missing.
    """
    if not names:
        return ()
    fields = _parse(request)
    values = [fields.get(name, "" if name in optional else None) for name in names]
    if any(
        value is None or (value == "" and name not in optional)
        for name, value in zip(names, values, strict=True)
    ):
        raise NotEnoughData
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) < len(values):
        raise BodyRefused(400, "malformed body: each field is a text")
    return texts


def _parse(request: HttpRequest) -> Mapping[str, object]:
    raw_type = request.header("content-type")
    if not request.body and raw_type is None:
        return {}
    # Parsing takes a time that grows with the square of the length.
    bounded_type = raw_type if raw_type is not None and len(raw_type) <= _MAX_OPTIONS_BYTES else ""
    kind, options = parse_options_header(bounded_type.encode("latin-1"))
    charset = options.get(b"charset", b"utf-8").lower()
    parsers = {
        b"application/json": _parse_json,
        b"application/x-www-form-urlencoded": _parse_urlencoded,
    }
    if (kind not in parsers and kind != b"multipart/form-data") or charset not in {b"utf-8", b"utf8"}:
        raise BodyRefused(
            415, "a body is application/json, application/x-www-form-urlencoded or multipart/form-data"
        )
    if not request.body:
        return {}
    if kind == b"multipart/form-data":
        return _parse_multipart(request.body, options.get(b"boundary", b""))
    return parsers[kind](request.body)


def _parse_json(body: bytes) -> Mapping[str, object]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BodyRefused(400, "malformed body: not JSON") from error
    if not isinstance(value, dict):
        raise BodyRefused(400, "malformed body: not an object")
    return value


def _parse_urlencoded(body: bytes) -> Mapping[str, object]:
    pairs = body.split(b"&", _MAX_FIELDS)
    if len(pairs) > _MAX_FIELDS or body.count(b"%") > _MAX_ESCAPES:
        raise BodyRefused(400, "malformed body: too many fields or escapes")
    try:
        return dict(_decoded_pair(pair) for pair in pairs if pair)
    except ValueError as error:
        raise BodyRefused(400, "malformed body: not urlencoded UTF-8") from error


def _decoded_pair(pair: bytes) -> tuple[str, str]:
    """Decode `name=value`; raises UnicodeDecodeError, a ValueError."""
    name, _, value = pair.replace(b"+", b" ").partition(b"=")
    return unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()


def _parse_multipart(body: bytes, boundary: bytes) -> Mapping[str, object]:
    parts = _Parts()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_part_data": parts.add,
                "on_part_end": parts.end,
                "on_header_begin": parts.begin_header,
                "on_header_field": parts.add_header_name,
                "on_header_value": parts.add_header_value,
                "on_header_end": parts.end_header,
            },
        )
        # In pieces: a header is reported at the end of one, before more of it is read.
        for start in range(0, len(body), _PIECE_BYTES):
            parser.write(body[start : start + _PIECE_BYTES])
        fields = parts.fields()
    except (FormParserError, ValueError) as error:
        raise BodyRefused(400, _MULTIPART_REFUSED) from error
    if not boundary or parser.state != MultipartState.END:
        raise BodyRefused(400, _MULTIPART_REFUSED)
    return fields


class _Parts:
    """Collects what the parser reports, part by part; raises ValueError for too much."""

    def __init__(self) -> None:
        self._name = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._content = bytearray()
        self._found: list[tuple[bytes, bytes]] = []
        self._parts = 0
        self._header_bytes = 0

    def fields(self) -> dict[str, object]:
        """Return the fields as texts; raises ValueError for bytes that are not UTF-8."""
        return {name.decode(): content.decode() for name, content in self._found}

    def begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise ValueError("too many parts")
        self._disposition = b""
        self._content.clear()

    def add(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def end(self) -> None:
        kind, options = parse_options_header(self._disposition)
        is_file = any(option.startswith(b"filename") for option in options)
        if kind == b"form-data" and b"name" in options and not is_file:
            self._found.append((options[b"name"], bytes(self._content)))

    def begin_header(self) -> None:
        self._name.clear()
        self._value.clear()

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_PART_HEADER_BYTES or len(self._value) + size > _MAX_OPTIONS_BYTES:
            raise ValueError("headers too large")
