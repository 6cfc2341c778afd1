"""Make the stored ranks equal to a data file: `python -m seeds.create_levels_xps`.

A running game takes the change over without a restart. Players keep their ranks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.durable.catalogue import write_levels
from seeds.command import options, run
from seeds.files import LEVELS, read_levels

if TYPE_CHECKING:
    from persistence.durable.pool import Connection


def main() -> int:
    """Run the command; return its exit code."""
    parser = options(
        "seeds.create_levels_xps", "Make the xp that each rank needs equal to a data file.", LEVELS
    )
    path = parser.parse_args().file

    async def write(connection: Connection) -> list[str]:
        return await write_levels(connection, read_levels(path))

    return run(write)


if __name__ == "__main__":
    raise SystemExit(main())
