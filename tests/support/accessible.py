"""What axe-core finds on a page."""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.async_api import Page

AXE: Final = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
"""To be evaluated once in each document."""

_FOUND: Final = """async (within) => {
    const ends = ({ effect }) => effect.getTiming().iterations !== Infinity;
    for (const each of document.getAnimations().filter(ends)) each.finish();
    const place = within ? document.querySelector(within) : document;
    const { violations } = await axe.run(place, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target.join(" ")).join(", ")]);
}"""


async def found(page: Page, within: str | None = None) -> list[list[str]]:
    """Ask axe-core about the page or a part of it; return the rules that are broken, and where."""
    broken: list[list[str]] = await page.evaluate(_FOUND, within)
    return broken
