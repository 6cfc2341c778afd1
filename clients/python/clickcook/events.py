"""What subscribers of a client hear besides the core's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .outputs import Output

if TYPE_CHECKING:
    from .core import Status
    from .state import Game


@dataclass(frozen=True, slots=True)
class Changed:
    """The state, or what is expected of it, is another now."""

    game: Game | None


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The conversation stands elsewhere now."""

    status: Status


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the server as it came, before anything was made of it."""

    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended, or could not be opened; `code` 1006 where there was no close frame.

    `is_silent`: it was left because the server owed an answer and said nothing.
    """

    code: int
    is_silent: bool = False


Notice = Heard | Disconnected
"""What the I/O alone sees."""

Event = Output | Changed | StatusChanged | Notice
