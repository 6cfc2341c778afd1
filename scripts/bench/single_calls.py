"""The server with a call for each click, to be measured beside the one whose clicks share calls."""

from __future__ import annotations

import sys

from persistence.live import click_groups
from server.__main__ import main

if __name__ == "__main__":
    click_groups.MOST_IN_A_CALL = 1  # type: ignore[misc]  # a figure of this run alone
    sys.exit(main())
