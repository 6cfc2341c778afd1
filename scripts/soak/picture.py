"""The soak as a picture: memory and open files of each process over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scripts.soak.growth import WARM_UP_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scripts.soak.stage import Sample

INK: Final = "#33312e"
FAINT: Final = "#cfc8bd"
COLOURS: Final = ("#33312e", "#d9480f", "#1971c2", "#2f9e44", "#9c36b5", "#868e96")


def draw(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Draw the samples into an .svg or .png file."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a drawing needs

    minutes = [sample.at_s / 60 for sample in samples]
    figure = Figure(figsize=(9, 6), layout="constrained")
    figure.suptitle(title, color=INK, fontsize=11)
    above, below = figure.subplots(2, 1, sharex=True)
    for name, colour in zip(samples[0].memory_mib, COLOURS, strict=True):
        above.plot(minutes, [sample.memory_mib[name] for sample in samples], color=colour, label=name, lw=1.2)
    for name, colour in zip(samples[0].files, COLOURS, strict=False):
        below.plot(minutes, [sample.files[name] for sample in samples], color=colour, label=name, lw=1.2)
    above.set_ylabel("memory, MiB", color=INK)
    below.set_ylabel("open files", color=INK)
    below.set_xlabel("minutes", color=INK)
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.grid(color=FAINT, lw=0.5)
        axes.axvspan(0, minutes[-1] * WARM_UP_SHARE, color=FAINT, alpha=0.3, lw=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False, ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without these the same figures would make another file each time.
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
