"""What `/readyz` says of a Redis that is there and refuses changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from persistence.live.lane_contract import LaneTotals
from server.http.service_routes import Condition
from server.observability.health import Health

if TYPE_CHECKING:
    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.lanes import Lanes
    from runtime.log_output import LogOutput

NOW_S = 100.0


def health(word: str, refused_s: float, short_at_s: float = float("-inf")) -> Health:
    """Make a health whose Redis refused with a word at a time; everything else is well.

    `short_at_s` is when too few replicas confirmed a batch last.
    """
    lane = SimpleNamespace(up=True, totals=LaneTotals(short_at_s=short_at_s))
    lanes = cast("Lanes", SimpleNamespace(all=[lane], durability={}, refused_s={word: refused_s}))
    bulk_lanes = cast("Lanes", SimpleNamespace(all=[lane]))
    catalogues = cast("Catalogues", SimpleNamespace(trouble=""))
    log = cast("LogOutput", SimpleNamespace(lost=0, trouble=""))
    return Health(lanes, bulk_lanes, catalogues, None, lambda: False, lambda: NOW_S, log)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("OOM", "full"),
        ("MISCONF", "cannot save"),
        ("NOREPLICAS", "too few replicas"),
        ("READONLY", "is a replica"),
    ],
)
def test_a_redis_that_refuses_changes_is_named(word: str, said: str) -> None:
    """For 10 s after the last refusal the state is `degraded` and says what Redis lacks."""
    readiness = health(word, NOW_S - 9).readiness()
    assert said in readiness.parts["redis"]
    assert readiness.condition is Condition.DEGRADED
    assert health(word, NOW_S - 11).readiness().condition is Condition.OK


def test_an_error_of_one_command_says_nothing_of_redis() -> None:
    """What a slot's move or a lost script asks for is no trouble of Redis."""
    assert health("MOVED", NOW_S).readiness().condition is Condition.OK


def test_too_few_replicas_are_named() -> None:
    """For 10 s after a batch that too few replicas confirmed, though Redis itself refuses nothing."""
    readiness = health("none", NOW_S, NOW_S - 9).readiness()
    assert "replicas" in readiness.parts["redis"]
    assert readiness.condition is Condition.DEGRADED
    assert health("none", NOW_S, NOW_S - 11).readiness().condition is Condition.OK
