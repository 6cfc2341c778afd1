"""What was measured, as pictures for the documents."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import matplotlib as mpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

INK: Final = "#33312e"
ACCENT: Final = "#d9480f"
FAINT: Final = "#cfc8bd"

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "click and cook"  # the same figures give the same file


def draw_clicks(rows: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw the CPU for a click of server and Redis, a bar each."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the backend has to be chosen before

    names = list(rows)[::-1]
    figure, axes = plt.subplots(figsize=(8, 0.7 * len(names) + 1.2), layout="constrained")
    servers = [rows[name]["cpu_us"] for name in names]
    redis = [rows[name]["redis_us"] if name != next(iter(rows)) else 0 for name in names]
    axes.barh(names, servers, color=ACCENT, label="server")
    axes.barh(names, redis, left=servers, color=FAINT, label="Redis, with its append-only file")
    for index, name in enumerate(names):
        text = f"{rows[name]['cpu_us']:.1f} µs, {rows[name]['ratio']:.2f} times the floor"
        axes.text(servers[index] + redis[index] + 2, index, text, va="center", color=INK, fontsize=8)
    axes.set_xlim(0, max(a + b for a, b in zip(servers, redis, strict=True)) * 1.35)
    axes.set_xlabel("µs of CPU for one click")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def draw_scale(
    processes: Sequence[Mapping[str, float]], fan_out: Sequence[Mapping[str, float]], path: Path
) -> None:
    """Draw clicks a second by worker, and what a click costs by the number of its player's connections."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", width_ratios=(1, 2))
    workers = [f"{row['workers']:.0f}" for row in processes]
    rates = [row["clicks_per_s"] for row in processes]
    left.bar(workers, rates, color=ACCENT, width=0.5)
    for index, row in enumerate(processes):
        text = f"{row['clicks_per_s']:,.0f}/s\n{row['cpu_us']:.1f} µs each"
        left.text(index, rates[index], text, ha="center", va="bottom", color=INK, fontsize=8)
    left.set_ylim(0, max(rates) * 1.3)
    left.set_xlabel("workers, a quarter of a core each")
    left.set_ylabel("clicks a second")

    connections = [row["connections"] for row in fan_out]
    right.plot(connections, [row["cpu_us"] for row in fan_out], "o-", color=ACCENT, label="both servers")
    right.plot(connections, [row["redis_us"] for row in fan_out], "o-", color=INK, label="Redis")
    for row in fan_out:
        text = f"{row['cpu_us']:.0f}"
        right.annotate(
            text, (row["connections"], row["cpu_us"]), (0, 6), textcoords="offset points", fontsize=8
        )
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_yticks((20, 50, 100, 200, 500), ("20", "50", "100", "200", "500"))
    right.minorticks_off()
    right.set_xticks(connections, [f"{each:.0f}" for each in connections])
    right.set_xlabel("connections of the player, over two processes")
    right.set_ylabel("µs of CPU for one click")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata)
    print(f"drawn: {path}", file=sys.stderr)
