"""How long a test waits for what must happen: far longer than it takes, since the machine may be busy."""

from __future__ import annotations

from typing import Final

LIMIT_S: Final = 120.0
