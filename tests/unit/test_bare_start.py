"""A start without the wheels of the embedded databases, as in the image for containers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from runtime.embedded import embedded_servers
from runtime.settings import Secret, Settings, StartupError


@pytest.fixture(autouse=True)
def _no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(data_dir=Path("/proc/none")), "DB_CONNECTION and REDIS_CONNECTION must be set: "),
        (Settings(redis_connection=Secret("redis://127.0.0.1")), "DB_CONNECTION must be set: "),
        (Settings(db_connection=Secret("postgresql://127.0.0.1")), "REDIS_CONNECTION must be set: "),
    ],
)
def test_what_must_be_set_is_named(settings: Settings, named: str) -> None:
    """The line names the variables that are missing, not DATA_DIR, which nothing would be kept in."""
    with pytest.raises(StartupError) as refused, embedded_servers(settings, on_loss=lambda: None):
        pass

    assert str(refused.value).startswith(named)
    assert "DATA_DIR" not in str(refused.value)
    assert "\n" not in str(refused.value)
