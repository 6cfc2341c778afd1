"""A request of a client's owner, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Sent:
    """A request on its way. `seq` 0 means none; `first_s` is when it was first sent, in loop time."""

    request_type: str
    data: dict[str, Any]
    seq: int
    first_s: float
    times_sent: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A request together with its final answer: `data`, or with `code` what was refused."""

    sent: Sent
    data: dict[str, Any]
    code: str
