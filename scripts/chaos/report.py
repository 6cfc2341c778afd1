"""The tables of a run, in Markdown, as they stand in the documentation."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from scripts.chaos.history.events import Quit
from scripts.chaos.history.impact import Impact, add_impacts, counts, summary, waits_s
from scripts.chaos.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.chaos.run import Outcome


def table(outcomes: Sequence[Outcome], seed: int) -> str:
    """Write faults by kind, and what became of the players' requests."""
    impacts: dict[str, Impact] = defaultdict(Impact)
    for outcome in outcomes:
        add_impacts(outcome.history, impacts)
    lines = [
        "| fault | times | refused | connections lost | all play on, alone | …, with others | longest wait |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in Kind:
        impact = impacts.get(kind)
        if impact is not None:
            lines.append(_row(str(kind), impact))
    total = Impact()
    for impact in impacts.values():
        total.times += impact.times
        total.refused += impact.refused
        total.lost += impact.lost
        total.alone_s += impact.alone_s
        total.recovered_s += impact.recovered_s
        total.longest_wait_s = max(total.longest_wait_s, impact.longest_wait_s)
    lines += [_row("**all**", total), "", "| | |", "|---|---:|", f"| seed | {seed} |"]
    facts: Counter[str] = Counter()
    for outcome in outcomes:
        facts.update(counts(outcome.history))
    waits = sorted(wait_s for outcome in outcomes for wait_s in waits_s(outcome.history))
    replayed = [each for outcome in outcomes for each in outcome.judgement.replayed.values()]
    library = [outcome.by_library for outcome in outcomes]
    rows = {
        "worlds": ", ".join(f"{one.world} ({one.played_s:.0f} s)" for one in outcomes),
        **{name: f"{count:,}" for name, count in facts.items()},
        "median, 99 %, longest wait for an answer": _percentiles(waits),
        "starts given up since a database was away": sum(
            isinstance(event, Quit) and event.code > 0 for one in outcomes for event in one.history.events
        ),
        "changes that no tab was sent as such, found by replay": sum(each.hidden for each in replayed),
        "changes lost where Redis may lose them": sum(each.lost for each in replayed),
        "changes lost with an old master, where two served without WAIT": sum(
            each.given_up for each in replayed
        ),
        "by the library: requests, lost, doubled, unsent": ", ".join(
            f"{sum(counted):,}"
            for counted in zip(
                *((one.answered, one.lost, one.doubled, one.unsent) for one in library), strict=True
            )
        ),
        "by the library: lost where Redis may lose them": sum(one.given_up for one in library),
        "**violations**": f"**{sum(len(outcome.wrong) for outcome in outcomes)}**",
    }
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def _row(name: str, impact: Impact) -> str:
    return (
        f"| {name} | {impact.times} | {impact.refused} | {impact.lost} | {summary(impact.alone_s)} "
        f"| {summary(impact.recovered_s)} | {impact.longest_wait_s:.1f} s |"
    )


def _percentiles(waits: Sequence[float]) -> str:
    if not waits:
        return "-"
    middle, most = waits[len(waits) // 2], waits[min(len(waits) - 1, int(0.99 * len(waits)))]
    return f"{1000 * middle:.0f} ms, {most:.2f} s, {waits[-1]:.1f} s"
