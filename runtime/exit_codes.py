"""The exit codes of every command of this project.

UNFINISHED: it ran, and something is left, was lost or differs; the last line says what. REFUSED: it did not
start: the settings make no sense, or a database cannot be used. INTERRUPTED: ended by a signal before it was
done; safe to start again (128 + SIGINT, as shells have it).
"""

from __future__ import annotations

from typing import Final

UNFINISHED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130
