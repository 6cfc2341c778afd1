"""What the soak makes of a request that was not answered well: on a busy machine it is sent again."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from scripts.soak.nuisances import Nuisance, _post

RESET = httpx.ReadError("")


@pytest.mark.parametrize(
    ("patience", "outcomes", "statuses", "cut_short", "faults"),
    [
        (1, [200], {200: 1}, 0, 0),
        (1, [RESET], {}, 0, 1),
        (1, [408], {}, 0, 1),
        (4, [RESET, 200], {200: 1}, 1, 0),
        (4, [408, 200], {200: 1}, 1, 0),
        (4, [408, 408], {}, 1, 1),
        (4, [RESET, RESET], {}, 1, 1),
        (4, [408, RESET], {}, 1, 1),
        (4, [500], {500: 1}, 0, 1),
        (4, [408, 500], {500: 1}, 1, 1),
    ],
)
async def test_what_is_sent_once_more(
    patience: float,
    outcomes: list[int | httpx.ReadError],
    statuses: dict[int, int],
    cut_short: int,
    faults: int,
) -> None:
    """What was cut off, or took too long to be sent, and only once; another odd answer is a fault at once."""
    left = list(outcomes)

    def answer(_request: httpx.Request) -> httpx.Response:
        outcome = left.pop(0)
        if isinstance(outcome, httpx.ReadError):
            raise outcome
        return httpx.Response(outcome, json={})

    seen = Nuisance(patience)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://soak") as http:
        await _post(http, seen, "/refresh", {})
    assert left == []
    assert (seen.statuses, len(seen.cut_short), len(seen.faults)) == (Counter(statuses), cut_short, faults)
