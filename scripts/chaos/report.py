"""The table of a run, in Markdown, as it stands in the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.chaos.plan import Kind
from scripts.chaos.recoveries import summary

if TYPE_CHECKING:
    from scripts.chaos.run import Outcome


def table(outcome: Outcome, seed: int) -> str:
    """Write faults by kind, and what became of the players' requests."""
    recoveries, totals, verdict = outcome.recoveries, outcome.totals, outcome.verdict
    lines = [
        "| fault | times | everybody plays on, alone | …, together with others |",
        "|---|---:|---:|---:|",
    ]
    for kind in Kind:
        if times := outcome.carried_out[kind]:
            alone, together = summary(recoveries.alone_s[kind]), summary(recoveries.all_s[kind])
            lines.append(f"| {kind} | {times} | {alone} | {together} |")
    alone_s = [took_s for taken in recoveries.alone_s.values() for took_s in taken]
    all_s = [took_s for taken in recoveries.all_s.values() for took_s in taken]
    lines.append(
        f"| **all** | **{outcome.carried_out.total()}** | **{summary(alone_s)}** | **{summary(all_s)}** |"
    )
    ended = ", ".join(f"{name} ({times} times)" for name, times in sorted(outcome.ended.items()))
    errors = ", ".join(f"{code} {times}" for code, times in sorted(totals.errors.items()))
    facts = {
        "seed": seed,
        "played": f"{outcome.played_s:.0f} s",
        "answered requests in the book": f"{verdict.answered:,}",
        "clicks in them": f"{verdict.clicks:,}",
        "sent again, after a lost answer or an error": f"{totals.resent:,}",
        "answered as `duplicate`": f"{verdict.duplicates:,}",
        "errors on the way": errors or "none",
        "reconnections": f"{totals.reconnects:,}",
        "longest wait for an answer": f"{totals.answered.longest_s:.1f} s",
        "median, 99 % of waits": f"{1000 * totals.answered.percentile_s(50):.0f} ms, "
        f"{totals.answered.percentile_s(99):.1f} s",
        "**lost**": f"**{verdict.lost}**",
        "**doubled**": f"**{verdict.doubled}**",
        "other differences": len(verdict.faults),
        "applied numbers that a server did not know at a reconnect": totals.lost,
        "versions that went backwards on a connection": len(totals.went_back),
        "everything answered, after the last fault": f"{outcome.answered_after_s:.1f} s",
        "all clicks in PostgreSQL, after the last answer": f"{outcome.saved_after_s:.1f} s",
        "all ticks too": f"{outcome.ticks_saved_after_s:.1f} s",
        "`scripts.audit --max-lag-s 0`": outcome.audit,
        "programs that ended by themselves (exit code), and were started again": ended or "none",
    }
    lines += ["", "| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in facts.items())]
    return "\n".join(lines)
