"""What was measured, as tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scripts.bench.clicks import NAIVE, SERVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Figures = dict[str, float]

_COLUMNS: Final = (
    ("µs CPU", "cpu_us", 8, ".1f"),
    ("/ floor", "ratio", 8, ".2f"),
    ("clicks/s", "clicks_per_s", 10, ",.0f"),
    ("p50 ms", "p50_ms", 8, ".1f"),
    ("p99", "p99_ms", 7, ".1f"),
    ("p99.9", "p99.9_ms", 7, ".1f"),
    ("half/s", "half_clicks_per_s", 9, ",.0f"),
    ("p50 ms", "half_p50_ms", 8, ".1f"),
    ("p99", "half_p99_ms", 7, ".1f"),
    ("p99.9", "half_p99.9_ms", 7, ".1f"),
    ("Redis µs", "redis_us", 10, ".1f"),
    ("load µs", "load_us", 9, ".1f"),
)
_NAME_WIDTH: Final = 20


def machine() -> dict[str, Any]:
    """Name what the figures were measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(": ")[2] if lines else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def table(rows: Mapping[str, Figures]) -> str:
    """Lay the rows of the main measurement out."""
    lines = ["".ljust(_NAME_WIDTH) + "".join(f"{title:>{width}}" for title, _, width, _ in _COLUMNS)]
    for name, figures in rows.items():
        cells = (
            f"{figures[key]:>{width}{shape}}" if key in figures else " " * width
            for _, key, width, shape in _COLUMNS
        )
        lines.append(name.ljust(_NAME_WIDTH) + "".join(cells))
    if NAIVE in rows:
        times = rows[NAIVE]["cpu_us"] / rows[SERVER]["cpu_us"]
        lines.append(f"The plain stack takes {times:.1f} times the server's CPU.")
    return "\n".join(lines)


def rows(found: Sequence[Mapping[str, float]]) -> str:
    """Lay figures out by name, a column each measurement."""
    width = max(len(name) for figures in found for name in figures) + 2
    return "\n".join(
        name.ljust(width) + "".join(f"{figures[name]:>14,.3f}" for figures in found) for name in found[0]
    )


def write_json(path: Path, name: str, found: object) -> None:
    """Put one measurement beside the others that a file may hold already."""
    held = json.loads(path.read_text()) if path.exists() else {}
    held[name] = {"machine": machine(), "found": found}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    print(f"written: {path}", file=sys.stderr)
