"""What Lighthouse says of the page, where its program is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.browser import chromium
from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from tests.support.game_server import GameServer

INSTALLED: Final = REPOSITORY / ".lighthouse" / "node_modules" / ".bin"
LIGHTHOUSE: Final = shutil.which("lighthouse", path=INSTALLED) or shutil.which("lighthouse") or ""
needs_lighthouse = pytest.mark.skipif(
    not LIGHTHOUSE, reason="lighthouse is not installed; .ci/run has the command for it"
)
CATEGORIES: Final = ("accessibility", "best-practices", "seo")
STEADY: Final = (
    "cumulative-layout-shift",
    "duplicated-javascript",
    "font-display",
    "legacy-javascript",
    "modern-image-formats",
    "no-document-write",
    "offscreen-images",
    "redirects",
    "total-byte-weight",
    "unminified-css",
    "unminified-javascript",
    "unsized-images",
    "unused-css-rules",
    "unused-javascript",
    "uses-long-cache-ttl",
    "uses-optimized-images",
    "uses-passive-event-listeners",
    "uses-responsive-images",
    "uses-text-compression",
    "viewport",
)
"""What the fourth category, performance, asks for whatever the speed of the machine."""
MOST_ELEMENTS: Final = 1_000
CHROMIUM: Final = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage"
TRIES: Final = 3
"""A browser that a busy machine starts too slowly has no report; one that has is the answer."""


def report(url: str, *options: str) -> dict[str, Any]:
    """Run Lighthouse on a page and return its report."""
    ways = ("--throttling-method=provided", "--disable-full-page-screenshot")
    command = (LIGHTHOUSE, url, "--quiet", "--output=json", *ways, *options)
    categories = f"--only-categories={','.join((*CATEGORIES, 'performance'))}"
    told: dict[str, Any] = {}
    for _try in range(TRIES):
        done = subprocess.run(
            [*command, categories, f"--chrome-flags={CHROMIUM}"],
            env=os.environ | {"CHROME_PATH": chromium()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * LIMIT_S,
            check=False,
        )
        told = json.loads(done.stdout) if done.stdout.startswith("{") else {"runtimeError": done.stderr}
        if "runtimeError" not in told:
            return told
    pytest.fail(f"Lighthouse has no report: {told['runtimeError']}")


@needs_lighthouse
@pytest.mark.parametrize("form", ["mobile", "desktop"])
def test_lighthouse_gives_100(game: GameServer, form: str) -> None:
    """For accessibility, best practices and search engines, on a phone and on a desktop.

    Its fourth number, performance, follows the load of the machine. So each part of it that does not has to
    be whole: bytes, compression, caching, unused code, what moves. Other tests hold what the first picture
    waits for.
    """
    preset = ("--preset=desktop",) if form == "desktop" else ()
    told = report(game.url, *preset)
    failed = {
        name: audit["title"]
        for name, audit in told["audits"].items()
        if audit["scoreDisplayMode"] == "binary" and audit["score"] != 1
    }
    scores = {name: told["categories"][name]["score"] for name in CATEGORIES}
    assert scores == dict.fromkeys(CATEGORIES, 1), failed
    steady = {name: told["audits"][name]["score"] for name in STEADY}
    assert steady == dict.fromkeys(STEADY, 1)
    assert told["audits"]["dom-size"]["numericValue"] <= MOST_ELEMENTS
