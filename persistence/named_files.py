"""The files that a connection URL names: certificates, keys, passwords."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def unreadable(options: Mapping[str, object], names: Sequence[str]) -> str:
    """Say which option names a file that cannot be read, and what to do; "" where all can."""
    for name in names:
        if name in options:
            try:
                Path(str(options[name])).open("rb").close()
            except OSError as error:
                return (
                    f"the file that {name} names cannot be read ({error.strerror}): correct its path or mode"
                )
    return ""
