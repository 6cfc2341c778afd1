"""Messages that repeat one before them: what differs is read, the rest is compared. Pure.

A client that clicks sends the same text over and over, but for its `request_id` and, where it has one, its
`seq` behind that. Comparing takes a third to a half of the time of reading JSON
(docs/decisions/0017-repeated-messages.md).
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

import orjson

from server.protocol.fields import MAX_REQUEST_ID_CHARS, MAX_SEQ
from server.protocol.messages import Refused, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.protocol.fields import RequestShape
    from server.protocol.messages import Request

MAX_PATTERN_BYTES: Final = 1024
"""A longer message has no pattern, since each connection keeps the text of its own."""

_MARKS: Final = b"-_.:"
"""What an id may hold besides letters and digits."""
_ID: Final = re.compile(rb'"request_id"\s*:\s*"(?P<id>[0-9A-Za-z%b]+)"' % re.escape(_MARKS))
_SEQ: Final = re.compile(rb'"seq"\s*:\s*(?P<seq>[0-9]+)')


class Pattern:
    """The text of a request around its id, and around its `seq` if it has one.

    `head` ends with the quote before the id. `body` begins with the quote behind it; it reaches to the `seq`,
    and `tail` follows that one. Without a `seq` there is no `tail`, and `body` reaches to the end.
    """

    __slots__ = ("_begin", "_body", "_end", "_head", "_id_end", "_request", "_tail")

    def __init__(self, head: bytes, body: bytes, tail: bytes, request: Request) -> None:
        self._head = head
        self._body = body
        self._tail = tail
        self._begin = len(head)
        self._end = -len(tail or body)
        # Where the id of the message before ended: most are as long as the one before them.
        self._id_end = 0
        self._request = request

    @property
    def request_type(self) -> str:
        """The type of the requests that it reads."""
        return self._request.request_type

    def read(self, payload: bytes) -> Request | None:
        """Read a message as `parse` would; None where it does not follow this pattern. Hot.

        The request is the same object each time. It may be used until the next one is read: a connection has
        one in flight.
        """
        request, tail, seq = self._request, self._tail, 0
        if not tail:
            if not payload.endswith(self._body) or not payload.startswith(self._head):
                return None
            request_id = payload[self._begin : self._end]
        else:
            body, end = self._body, self._id_end
            if not payload.startswith(body, end):
                end = self._id_end = payload.find(b'"', self._begin)
                if not payload.startswith(body, end):
                    return None
            if not payload.startswith(self._head) or not payload.endswith(tail):
                return None
            request_id = payload[self._begin : end]
            try:
                seq = orjson.loads(payload[end + len(body) : self._end])
            except ValueError:
                return None
            if seq.__class__ is not int or not 0 < seq <= MAX_SEQ:
                return None
        if not request_id.isalnum() and not request_id.translate(None, _MARKS).isalnum():
            return None
        if len(request_id) > MAX_REQUEST_ID_CHARS:
            return None
        request.seq = seq
        request.request_id_json = f'"{request_id.decode()}"'
        return request


def pattern_of(payload: bytes, request: Request, shapes: Mapping[str, RequestShape]) -> Pattern | None:
    """Return the pattern of a message that was parsed into `request`; None where it has none.

    It is tried with another id and another `seq`. If `parse` finds these, they stand where whole values of
    JSON stand, and those of any other message of the pattern are found there too.
    """
    if len(payload) > MAX_PATTERN_BYTES:
        return None
    found = _ID.search(payload)
    if found is None:
        return None
    head, body, tail = payload[: found.start("id")], payload[found.end("id") :], b""
    other_id, other_seq = found["id"] + b"-", request.seq and request.seq + 1
    tried = [head, other_id, body]
    if request.seq:
        found = _SEQ.search(body)
        if found is None:
            return None
        body, tail = body[: found.start("seq")], body[found.end("seq") :]
        tried = [head, other_id, body, b"%d" % other_seq, tail]
    expected = dataclasses.replace(request, request_id_json=f'"{other_id.decode()}"', seq=other_seq)
    try:
        if parse(b"".join(tried), shapes) != expected:
            return None
    except Refused:
        return None
    return Pattern(head, body, tail, dataclasses.replace(request))
