"""The text of several workers as one text: each family once, with everybody's samples. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def merged(texts: Iterable[bytes]) -> bytes:
    """Merge texts in Prometheus' format whose samples differ by a label.

    A family that several of them have keeps the head of the first; the format wants its samples together.
    """
    families: dict[bytes, list[bytes]] = {}
    for text in texts:
        # Each family of `generate_latest` begins with its HELP line, which TYPE and the samples follow.
        _before, *found = (b"\n" + text).split(b"\n# HELP ")
        for family in found:
            head, *lines = family.rstrip(b"\n").split(b"\n")
            name = head.partition(b" ")[0]
            if name in families:
                families[name] += [line for line in lines if not line.startswith(b"#")]
            else:
                families[name] = [b"# HELP " + head, *lines]
    return b"".join(line + b"\n" for lines in families.values() for line in lines)
