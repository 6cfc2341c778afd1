"""What a click costs: the server beside a bare echo and beside a plain stack, in turns on one machine.

    python -m scripts.bench [--short | --single]
        [--profile | --idle | --sessions | --scale | --tabs | --tick | --watching | --away | --calls
        | --coming | --page]

Valkey (append-only file, synced at each write) and PostgreSQL run from their wheels in a fresh folder. The
measured process has core 0 to itself; Valkey, PostgreSQL and the load share core 1. 200 connections, a player
each, with one `cook` in flight; every answer is checked. CPU is user and system time from /proc. The second
half of the table is at half of each stack's own peak rate, sent evenly whatever the answers do, each latency
counted from the moment its request was due; its percentiles are medians of those of several seconds.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop

from scripts.bench import (
    away,
    calls,
    coming,
    growth,
    idle,
    page,
    plots,
    profiling,
    report,
    scaling,
    tabs,
    ticks,
    watching,
)
from scripts.bench.clicks import Plan, measure
from scripts.bench.stage import LOAD_CORE, pin

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Read the command line, measure, and say what was found."""
    options = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    pin(os.getpid(), LOAD_CORE)
    gc.disable()  # the load keeps no cycles, and its pauses would be counted as the server's latency
    chosen: list[Callable[[argparse.Namespace], None]] = [
        mode
        for name, mode in (
            ("profile", _profile),
            ("idle", _idle),
            ("sessions", _sessions),
            ("scale", _scale),
            ("tabs", _tabs),
            ("tick", _tick),
            ("watching", _watching),
            ("away", _away),
            ("calls", _calls),
            ("coming", _coming),
            ("page", _page),
        )
        if getattr(options, name)
    ]
    for mode in chosen or [_clicks]:
        mode(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="ten seconds, for CI: ratios are rough")
    parser.add_argument("--single", action="store_true", help="also with a call of its own for each click")
    parser.add_argument("--profile", action="store_true", help="name where the server's time goes")
    parser.add_argument("--idle", action="store_true", help="memory of connections that do nothing or leave")
    parser.add_argument(
        "--sessions", action="store_true", help="with a thousand and with --most sessions in Redis"
    )
    parser.add_argument("--scale", action="store_true", help="with processes, and connections of a player")
    parser.add_argument("--tabs", action="store_true", help="players with many connections, --rounds times")
    parser.add_argument("--tick", action="store_true", help="10,000 players with passive income")
    parser.add_argument("--watching", action="store_true", help="players who send nothing, --rounds times")
    parser.add_argument(
        "--against", type=Path, help="other code in turns: clicks, --calls, --tabs, --watching"
    )
    parser.add_argument("--away", action="store_true", help="what 8 hours of income cost Redis")
    parser.add_argument("--calls", action="store_true", help="what a click costs Redis, alone and shared")
    parser.add_argument("--coming", action="store_true", help="--players who come within 10 s")
    parser.add_argument("--page", action="store_true", help="hold Cook in Chromium for --minutes")
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--tagged", action="store_true", help="--profile with client and seq")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument(
        "--players", type=int, default=ticks.PLAYERS, help="of --tick, --watching and --coming"
    )
    parser.add_argument("--most", type=int, default=growth.MANY, help="of --sessions")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", type=Path, help="write the figures, beside others in the file")
    parser.add_argument("--plot", type=Path, help="draw the clicks, or --scale (svg, png)")
    return parser.parse_args()


def _clicks(options: argparse.Namespace) -> None:
    plan = Plan(
        connections=options.connections,
        rounds=options.rounds,
        with_single=options.single,
        against=options.against,
    )
    if options.short:
        plan = replace(plan, rounds=3, seconds=0.7, half_seconds=0, with_naive=False)
    found = uvloop.run(measure(plan))
    print(report.table(found))
    _keep(options, "clicks", found)
    if options.plot is not None:
        plots.draw_clicks(found, options.plot)


def _profile(options: argparse.Namespace) -> None:
    print(uvloop.run(profiling.profile(options.connections, tagged=options.tagged)))


def _idle(options: argparse.Namespace) -> None:
    found = uvloop.run(idle.idle())
    print(idle.described(found))
    _keep(options, "idle", found)


def _coming(options: argparse.Namespace) -> None:
    found = uvloop.run(coming.coming(options.players))
    print(coming.described(found))
    _keep(options, "coming", coming.figures(found))


def _sessions(options: argparse.Namespace) -> None:
    found = uvloop.run(growth.growth(options.connections, options.rounds, options.most))
    print(report.rows(found))
    _keep(options, "sessions", found)


def _scale(options: argparse.Namespace) -> None:
    processes = uvloop.run(scaling.by_processes(options.connections))
    print(report.rows(processes))
    fan_out = uvloop.run(scaling.by_fan_out())
    print(report.rows(fan_out))
    _keep(options, "processes", processes)
    _keep(options, "fan_out", fan_out)
    if options.plot is not None:
        plots.draw_scale(processes, fan_out, options.plot)


def _tabs(options: argparse.Namespace) -> None:
    found = uvloop.run(tabs.tabs(options.rounds, options.against))
    print(report.rows(found))
    _keep(options, "tabs", found)


def _tick(options: argparse.Namespace) -> None:
    found = uvloop.run(ticks.ticks(options.players))
    print(report.rows([found]))
    _keep(options, "tick", found)


def _watching(options: argparse.Namespace) -> None:
    found = uvloop.run(watching.watching(options.players, options.rounds, options.against))
    print(", ".join(code for code, _ in found))
    print(report.rows([figures for _, figures in found]))
    _keep(options, "watching", found)


def _away(options: argparse.Namespace) -> None:
    found = away.away()
    print(report.rows([found]))
    _keep(options, "away", found)


def _calls(options: argparse.Namespace) -> None:
    found = calls.calls(options.against)
    print(report.rows(found))
    _keep(options, "calls", found)


def _page(options: argparse.Namespace) -> None:
    found = uvloop.run(page.holding(options.minutes))
    print(report.rows(found))
    _keep(options, "page", found)


def _keep(options: argparse.Namespace, name: str, found: object) -> None:
    if options.json is not None:
        report.write_json(options.json, name, found)


if __name__ == "__main__":
    main()
