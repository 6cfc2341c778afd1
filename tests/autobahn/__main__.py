"""Run the Autobahn test suite against our own connection and print what is not plainly OK.

    python -m tests.autobahn [--quick] [--all]

Installs the suite into the user's cache at first. Ends with 1 when a case fails that is not explained.
"""

from __future__ import annotations

import argparse
import collections
import sys

from tests.autobahn.suite import ALL_CASES, QUICK_CASES, SuiteUnavailableError, find_python2, install, run


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.autobahn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="leave out the long sections")
    parser.add_argument("--all", action="store_true", help="print every case")
    arguments = parser.parse_args()
    try:
        python2 = find_python2()
        suite = install(python2)
    except SuiteUnavailableError as reason:
        sys.stderr.write(f"not run: {reason}\n")
        return 0
    verdicts = run(python2, suite, QUICK_CASES if arguments.quick else ALL_CASES, timeout_s=300)
    lines = [str(verdict) for verdict in verdicts if arguments.all or not verdict.is_plainly_ok]
    counts = collections.Counter(verdict.behavior for verdict in verdicts)
    lines.append(", ".join(f"{count} {behavior}" for behavior, count in counts.items()))
    failed = [verdict.case for verdict in verdicts if not verdict.is_ok]
    lines.append(f"not explained: {', '.join(failed) or 'none'}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failed or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
