"""What tests of the pages share: a browser for a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.support.browser import kept_browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_browser() -> AsyncIterator[None]:
    """Keep one browser for a module's tests that ONE_BROWSER marks; each visitor has a profile of its own."""
    async with kept_browser():
        yield
