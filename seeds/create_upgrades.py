"""Make the stored upgrades equal to a data file: `python -m seeds.create_upgrades`.

A running game takes the change over without a restart. Owned upgrades keep their count; none is ever removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.durable.catalogue import write_upgrades
from seeds.command import options, run
from seeds.files import UPGRADES, read_upgrades

if TYPE_CHECKING:
    from persistence.durable.pool import Connection


def main() -> int:
    """Run the command; return its exit code."""
    parser = options(
        "seeds.create_upgrades", "Make the stored upgrades and their boosts equal to a data file.", UPGRADES
    )
    path = parser.parse_args().file

    async def write(connection: Connection) -> list[str]:
        return await write_upgrades(connection, read_upgrades(path))

    return run(write)


if __name__ == "__main__":
    raise SystemExit(main())
