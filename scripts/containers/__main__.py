"""Build the image and run the whole composition, without a registry of images: `make containers`.

Needs root, Linux, and `mmdebstrap`. Docker itself need not be installed: Debian's is run, with a root file
system, a network and processes of its own, and leaves nothing behind but a cache folder. Exit code 0: all is
as it should be; 1: something is not; 2: it could not be tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.containers.bed import Bed
from scripts.containers.checks import CheckFailedError, Checks, CommandFailedError
from scripts.containers.debian import (
    ENGINE,
    IMAGES,
    CannotPrepareError,
    python_of,
    root_file_system,
    wheels,
)
from scripts.containers.images import make_stand_ins, needed_images, versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    _Say = Callable[[str], None]

REPOSITORY: Final = Path(__file__).parent.parent.parent
EXIT_WRONG: Final = 1
EXIT_NOT_TRIED: Final = 2
EXIT_INTERRUPTED: Final = 130
_TOOLS: Final = ("mmdebstrap", "unshare", "nsenter", "setpriv", "pivot_root", "tar")
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "click-and-cook"
_UNCHECKED: Final = (
    "the official images themselves: their entry points, users and versions (stand-ins were run)",
    "pulling images, and building with packages from an index",
)


def main() -> int:
    """Parse the command line and run everything; the first fault ends it."""
    options = _parser().parse_args()
    if os.geteuid() != 0 or sys.platform != "linux":
        return _fail("needs root on Linux: mounts, networks and processes of its own are made")
    if missing := [name for name in _TOOLS if shutil.which(name) is None]:
        return _fail(f"needs {', '.join(missing)}; on Debian: apt-get install mmdebstrap util-linux")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(options.limit_s)
    began_s = time.monotonic()
    try:
        _run(options.cache.resolve(), options.suite, lambda line: _say(line, began_s))
    except CannotPrepareError as error:
        return _fail(str(error))
    except (CheckFailedError, CommandFailedError, TimeoutError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return EXIT_WRONG
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _run(cache: Path, suite: str, say: _Say) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as both:
        engine, images = both.map(lambda root: root_file_system(root, suite, cache), (ENGINE, IMAGES))
    python = python_of(images)
    downloaded = wheels(REPOSITORY, python, cache)
    say(f"root file systems of Debian {suite} and wheels for Python {python}, in {cache}")
    unchecked = list(_UNCHECKED)
    with Bed(engine, REPOSITORY, cache) as bed:
        checks = Checks(bed, REPOSITORY, say, unchecked)
        checks.settings()
        names = needed_images(bed, REPOSITORY)
        make_stand_ins(bed, names, images, downloaded)
        say(f"stand-ins for {', '.join(names)}")
        say(versions(bed))
        checks.up()
        checks.visitors()
        checks.rolling_restart()
        checks.audit()
        checks.proxy_stops()
        checks.down()
    say("all is as it should be. Not checked here:")
    for line in unchecked:
        print(f"          - {line}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.containers", description=__doc__)
    parser.add_argument(
        "--cache", type=Path, default=_CACHE, help=f"folder for root file systems and wheels: {_CACHE}"
    )
    parser.add_argument("--suite", default="forky", help="release of Debian whose packages are run: forky")
    parser.add_argument("--limit-s", type=int, default=900, help="give up after so many seconds: 900")
    return parser


def _say(line: str, began_s: float) -> None:
    print(f"{time.monotonic() - began_s:6.1f} s  {line}", flush=True)


def _fail(line: str) -> int:
    print(line, file=sys.stderr)
    return EXIT_NOT_TRIED


def _too_late(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError("not done in time; --limit-s gives more")


if __name__ == "__main__":
    sys.exit(main())
