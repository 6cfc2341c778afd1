"""h11 fed in bounded pieces: what it takes long over is counted before it is parsed.

Its time grows with the square of the header lines, and a chunk of one byte costs what a large one does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import h11

from server.http.heads import refuse_raw_head
from server.http.messages import malformed

if TYPE_CHECKING:
    from server.http.messages import HttpResponse

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_BLANK_LINE_BYTES: Final = 3
_SPACE: Final = 0x20
_PIECE_BYTES: Final = 512
_MAX_FRAMING_BYTES: Final = 256
"""What h11 holds back of a body is the line of a chunk or the trailers: nobody needs long ones."""
_MAX_CHUNKS: Final = 32

Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class RequestRefused(Exception):  # noqa: N818 - what happened to the request
    """A request is not worth parsing; `response` says why."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status)
        self.response = response


class RequestReader:
    """The receiving side of an h11 connection; the owner sends over the same one."""

    def __init__(self, connection: h11.Connection, max_header_bytes: int) -> None:
        self._h11 = connection
        self._max_header_bytes = max_header_bytes
        self._raw = bytearray()
        self._searched = 0
        self._chunks = 0
        self._end_was_fed = False
        self.ended = False
        """The peer sends nothing more."""

    @property
    def has_more(self) -> bool:
        """Whether bytes arrived behind the request that was read."""
        return bool(self._raw)

    def receive(self, data: bytes | bytearray) -> None:
        """Keep what arrived."""
        self._raw += data

    def end(self) -> None:
        """Note that nothing more will arrive."""
        self.ended = True

    def rest(self) -> bytes:
        """Take the bytes that were not read."""
        rest = bytes(self._raw)
        self._raw.clear()
        return rest

    def next_event(self) -> Event:
        """Return the next event, or h11's NEED_DATA or PAUSED.

        Raises RequestRefused or h11.RemoteProtocolError: answer, and read no further.
        """
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._chunks = 0
            elif isinstance(event, h11.Data) and event.chunk_start:
                self._chunks += 1
                if self._chunks > _MAX_CHUNKS:
                    raise RequestRefused(malformed(400, "too many chunks"))
            if event is not h11.NEED_DATA or not self._feed():
                return event

    def _feed(self) -> bool:
        """Give h11 a whole head or a piece of a body; False when there is none yet."""
        if self._h11.their_state is h11.IDLE:
            size = self._size_of_head()
        else:
            framing, _ended = self._h11.trailing_data
            if len(framing) > _MAX_FRAMING_BYTES:
                raise RequestRefused(malformed(431, "header too large"))
            size = min(len(self._raw), _PIECE_BYTES)
        if size:
            self._h11.receive_data(bytes(self._raw[:size]))
            del self._raw[:size]
            return True
        if self.ended and not self._end_was_fed:
            self._end_was_fed = True
            self._h11.receive_data(b"")
            return True
        return False

    def _size_of_head(self) -> int:
        """Return the length of the complete head, 0 without one; of half a head once the peer ended."""
        blank = _BLANK_LINE.search(self._raw, max(0, self._searched - _BLANK_LINE_BYTES))
        self._searched = len(self._raw)
        size = blank.end() if blank is not None else len(self._raw)
        if self._raw and self._raw[0] <= _SPACE:
            # No request begins so: TLS, or a blank line. No end of it is waited for.
            raise RequestRefused(malformed(400, "malformed request"))
        if size > self._max_header_bytes:
            raise RequestRefused(malformed(431, "header too large"))
        if blank is None:
            return size if self.ended else 0
        self._searched = 0
        refused = refuse_raw_head(bytes(self._raw[:size]))
        if refused is not None:
            raise RequestRefused(refused)
        return size
