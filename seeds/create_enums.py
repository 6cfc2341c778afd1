"""Create the types of upgrades and boosts: `python -m seeds.create_enums`."""

from __future__ import annotations

from persistence.durable.catalogue import write_enums
from seeds.command import options, run


def main() -> int:
    """Run the command; return its exit code."""
    options(
        "seeds.create_enums", "Create the types of upgrades and boosts that the tables lack."
    ).parse_args()
    return run(write_enums)


if __name__ == "__main__":
    raise SystemExit(main())
