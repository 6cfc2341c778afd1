"""The pair of tokens that is a log-in, and where it is kept."""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair as the server hands it out; `since_ms` is when it came, in Unix time by this machine's clock."""

    access: str
    refresh: str
    since_ms: float = field(default_factory=lambda: time.time() * 1000, compare=False)

    @property
    def user_id(self) -> int:
        """Whose tokens these are."""
        return int(self._claims()["id"])

    @property
    def life_ms(self) -> float:
        """How long the access token lives in all. Read, not checked: only the server can check."""
        claims = self._claims()
        return float(claims["exp"] - claims["iat"]) * 1000

    @property
    def age_ms(self) -> float:
        """How long ago it came; a clock that went back makes it as old as can be."""
        age_ms = time.time() * 1000 - self.since_ms
        return age_ms if age_ms >= 0 else self.life_ms

    def _claims(self) -> dict[str, Any]:
        payload = self.access.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims


class TokenStore(Protocol):
    """Where a client keeps its log-in. Several clients may share one: each looks there before it renews."""

    def load(self) -> Tokens | None:
        """Return the pair that was saved last, None without one."""

    def save(self, tokens: Tokens) -> None:
        """Keep a pair in place of the one before."""

    def clear(self) -> None:
        """Forget the pair: the log-in is over."""


class MemoryStore:
    """Keeps the pair as long as the process lives."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens

    def load(self) -> Tokens | None:
        """Return the pair."""
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        """Keep a pair."""
        self._tokens = tokens

    def clear(self) -> None:
        """Forget it."""
        self._tokens = None


class FileStore:
    """Keeps the pair in a file that only its owner can read, replaced as a whole."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> Tokens | None:
        """Return the pair; None where there is no file, or one that is damaged."""
        try:
            tokens = Tokens(**json.loads(self._path.read_text(encoding="utf-8")))
            _ = tokens.life_ms
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            return None
        return tokens

    def save(self, tokens: Tokens) -> None:
        """Replace the file."""
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with open(fresh, "w", encoding="utf-8", opener=_for_owner_alone) as file:
            json.dump(asdict(tokens), file)
        fresh.replace(self._path)

    def clear(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def _for_owner_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
