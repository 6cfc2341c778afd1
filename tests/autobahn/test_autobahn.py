"""The connection keeps RFC 6455 in the eyes of others."""

from __future__ import annotations

import pytest

from tests.autobahn.suite import QUICK_CASES, SuiteUnavailableError, find_python2, install, run


def test_the_autobahn_suite_finds_nothing_unexplained() -> None:
    """Every case of the quick sections passes or is explained; `python -m tests.autobahn` runs them all.

    It may be skipped: the suite needs a Python 2.7 and, once, the package registry.
    """
    try:
        python2 = find_python2()
        suite = install(python2)
    except SuiteUnavailableError as reason:
        pytest.skip(f"the Autobahn suite was not run: {reason}")
    verdicts = run(python2, suite, QUICK_CASES, timeout_s=120)
    assert [str(verdict) for verdict in verdicts if not verdict.is_ok] == []
    assert len(verdicts) > 90
