"""A database that cannot be used, as the one line that a command ends with."""

from __future__ import annotations

from persistence.errors import DurableError, DurableRefused, LiveUnavailable, StorageUnavailable
from persistence.live.reasons import LiveRefused

Outage = DurableError | StorageUnavailable


def waiting_helps(error: Outage) -> bool:
    """Tell whether the same may work later without an operator."""
    return isinstance(error, StorageUnavailable) and not isinstance(error, DurableRefused | LiveRefused)


def line_of(error: Outage) -> str:
    """Name the variable, the fault and the remedy; show nothing of the variable's value."""
    is_redis = isinstance(error, LiveUnavailable)
    variable, name = ("REDIS_CONNECTION", "Redis") if is_redis else ("DB_CONNECTION", "PostgreSQL")
    if waiting_helps(error):
        return f"{variable}: {name} does not answer: {error}; start it or correct the address"
    return f"{variable}: {error}"
