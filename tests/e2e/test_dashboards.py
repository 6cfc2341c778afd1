"""Dashboard and alert rules ask for what a running server exposes, by its names, labels and values."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from scripts.top.reading import read
from server.protocol.errors import REFUSALS
from server.protocol.fields import REQUEST_TYPES
from tests.support.game_server import REPOSITORY, GameServer
from tests.support.limits import LIMIT_S
from tests.support.players import player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from server.observability.readings import Reading

DEPLOY: Final = REPOSITORY / "deploy"
DASHBOARD: Final = DEPLOY / "grafana" / "click-and-cook.json"
ALERTS: Final = DEPLOY / "prometheus" / "alerts.yml"
SCRAPES: Final = DEPLOY / "prometheus" / "prometheus.yml"
METRICS_PAGE: Final = REPOSITORY / "docs" / "observability.md"

OF_THE_TARGET: Final = frozenset({"instance", "job"})
"""Labels that Prometheus adds to each sample of a target."""

OF_PROMETHEUS: Final = frozenset({"up"})
"""Metrics that Prometheus makes itself."""

COME_WITH_TRAFFIC: Final = {
    ("clickcook_requests_total", "result"): {"ok", "duplicate", "unchanged", *(r.code for r in REFUSALS)},
    ("clickcook_requests_total", "type"): {*REQUEST_TYPES, "unknown"},
    ("clickcook_http_requests_total", "status"): {str(status.value) for status in HTTPStatus},
}
"""The values that a label may have, where a server shows only those that have occurred."""

TOKEN: Final = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<name>[a-zA-Z_:][\w:]*)|(?P<sign>[^\w\s])|\S"""
)
GROUPINGS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


@dataclass(slots=True)
class Query:
    """What a PromQL expression asks for: selectors with their matchers, and the labels it groups by."""

    selectors: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)


def parsed(expression: str) -> Query:
    """Take an expression apart; raises ValueError where it is none that this reads."""
    tokens = [(match.lastgroup, match.group()) for match in TOKEN.finditer(expression)]
    signs = "".join(token for kind, token in tokens if kind == "sign")
    if any(signs.count(left) != signs.count(right) for left, right in ("()", "{}")):
        raise ValueError(expression)
    query = Query()
    at = 0
    while at < len(tokens):
        kind, token = tokens[at]
        after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind != "name" or token.lower() in WORDS:
            continue
        if token in GROUPINGS:
            end = next(index for index in range(at, len(tokens)) if tokens[index][1] == ")")
            query.groups.append(tuple(name for kind, name in tokens[at:end] if kind == "name"))
            at = end
        elif after == "{":
            end = next(index for index in range(at, len(tokens)) if tokens[index][1] == "}")
            query.selectors.append((token, list(_matchers(tokens[at + 1 : end]))))
            at = end
        elif after != "(" and after not in GROUPINGS:
            query.selectors.append((token, []))
    return query


def _matchers(tokens: list[tuple[str | None, str]]) -> Iterator[tuple[str, str]]:
    labels = [token for kind, token in tokens if kind == "name"]
    texts = [token[1:-1] for kind, token in tokens if kind == "text"]
    yield from zip(labels, texts, strict=True)


def dashboard_queries() -> Iterator[tuple[str, str, str]]:
    """Give each query of the dashboard with its place and its legend."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"], target["legendFormat"]
    for note in dashboard["annotations"]["list"]:
        yield f"annotation {note['name']}", note["expr"], note["titleFormat"]


def alert_rules() -> Iterator[dict[str, Any]]:
    """Give each alert."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def every_query() -> Iterator[ParameterSet]:
    """Give all queries of both, with the places where they stand and the texts that use their labels."""
    alerts = [
        (f"alert {rule['alert']}", str(rule["expr"]), " ".join(rule["annotations"].values()))
        for rule in alert_rules()
    ]
    for place, expression, texts in (*dashboard_queries(), *alerts):
        yield pytest.param(place, expression, texts, id=place)


@pytest.fixture(scope="module")
def exposed(game: GameServer) -> Reading:
    """What a server exposes on which somebody plays."""

    async def play() -> None:
        async with player(game) as one:
            await one.ask("session")
            await one.ask("upgrade_buy", id=1)
            await one.ask("cook")
            await one.ask("sell")

    asyncio.run(play())
    end_s = time.monotonic() + LIMIT_S
    while (found := read(game.url)).error:  # it had no time to answer
        assert time.monotonic() < end_s, found.error
    return found


def labels_of(exposed: Reading, name: str) -> set[str]:
    """Name the labels that a metric has."""
    return {label for labels in exposed.samples[name] for label, _ in labels}


def values_of(exposed: Reading, name: str, label: str) -> set[str]:
    """Name the values that a label of a metric may have."""
    found = {value for labels in exposed.samples[name] for key, value in labels if key == label}
    return found | COME_WITH_TRAFFIC.get((name, label), set())


@pytest.mark.parametrize(("place", "expression", "texts"), [*every_query()])
def test_every_query_can_be_answered(exposed: Reading, place: str, expression: str, texts: str) -> None:
    """A server exposes each metric, with the labels that are matched, grouped by and shown."""
    query = parsed(expression)
    assert query.selectors, place
    available: set[str] = set(OF_THE_TARGET)
    for name, matchers in query.selectors:
        if name in OF_PROMETHEUS:
            continue
        assert name in exposed.samples, f"{place}: no server exposes {name}"
        available |= labels_of(exposed, name)
        for label, wanted in matchers:
            if label in OF_THE_TARGET:
                continue
            assert label in labels_of(exposed, name), f"{place}: {name} has no label {label}"
            for value in wanted.split("|"):
                assert value in values_of(exposed, name, label), f"{place}: {name} has no {label}={value}"
    for group in query.groups:
        assert set(group) <= available, f"{place}: {group} of {available}"
    shown = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", texts))
    left = {label for group in query.groups for label in group} if query.groups else available
    if re.match(r"(sum|max|min|count)\(", expression):
        left = set()
    assert shown <= left, f"{place}: {shown} of {left}"


def test_a_query_is_taken_apart() -> None:
    """Selectors, matchers and groups are found; functions, ranges and words are none."""
    query = parsed(
        'sum by (a, le) (rate(x_bucket{b=~"c|d", e!="f{}"}[5m])) / on (g) max(y) > 0.5 unless up == 1'
    )

    assert query.selectors == [("x_bucket", [("b", "c|d"), ("e", "f{}")]), ("y", []), ("up", [])]
    assert query.groups == [("a", "le"), ("g",)]
    with pytest.raises(ValueError, match="sum"):
        parsed("sum(x")


def test_alert_rules_are_complete() -> None:
    """Each alert has a name of its own, a severity that is known, and words for the operator who is woken."""
    rules = list(alert_rules())
    names = [rule["alert"] for rule in rules]

    assert len(names) == len(set(names)) >= 10
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m")), rule


def test_prometheus_finds_the_rules() -> None:
    """The example of a configuration loads our rules and scrapes under the job that they name."""
    found = yaml.safe_load(SCRAPES.read_text())

    assert [SCRAPES.parent / name for name in found["rule_files"]] == [ALERTS]
    jobs = [scrape["job_name"] for scrape in found["scrape_configs"]]
    assert jobs == ["click-and-cook"]
    assert f'job="{jobs[0]}"' in ALERTS.read_text()


def test_the_dashboard_is_whole() -> None:
    """Panels have ids of their own, don't overlap, and use the dashboard's data source."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    cells = [
        (x, y)
        for panel in panels
        for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    for panel in panels:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "${datasource}"


def test_every_metric_is_explained(exposed: Reading) -> None:
    """The page for operators names each metric of ours, and none that does not exist."""
    page = METRICS_PAGE.read_text()
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed.samples}
    ours = {name for name in families if name.startswith("clickcook_")}

    assert set(re.findall(r"`(clickcook_\w+)", page)) == ours
