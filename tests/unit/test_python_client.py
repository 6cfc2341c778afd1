"""The Python library without a network: the cases of conformance, the game's rules, what is kept."""

from __future__ import annotations

import io
import json
import random
import shutil
import stat
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from clients.conformance.run import Case, Pipe, difference, fault_of, read_cases
from clients.python.clickcook import FileStore, Tokens, conformance, errors
from clients.python.clickcook.core import Core
from clients.python.clickcook.rules import apply
from clients.python.clickcook.state import Boost, Game, Upgrade
from clients.python.clickcook.waiting import COUNTED
from game.catalogue import UpgradeType
from game.errors import Refusal
from game.live_session import LiveSession
from game.rates import price_of
from game.rules import cook, sell, upgrade_buy
from game.session import Session, UserId
from server.protocol.errors import REFUSALS
from server.protocol.fields import REQUEST_TYPES, STATE_CHANGING
from tests.support.game_catalogue import CATALOGUE, LEVEL_XP
from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_700_000_000_000
CASES = list(read_cases())
CLIENTS = REPOSITORY / "clients"
RUNNER = [sys.executable, str(CLIENTS / "conformance" / "run.py")]


class InProcess(Pipe):
    """The library without the pipe."""

    def __init__(self) -> None:
        super().__init__(io.StringIO(), io.StringIO())
        self._core = Core()

    def ask(self, line: dict[str, Any]) -> dict[str, Any]:
        """Give one line."""
        if line["do"] == "case":
            self._core = conformance.new_core(line["options"])
            return {}
        outputs = conformance.give(self._core, line)
        answer: dict[str, Any] = json.loads(json.dumps(conformance.told(self._core, outputs)))
        return answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}: {case.name}")
def test_it_does_what_every_client_must_do(case: Case) -> None:
    """Each step of each case brings exactly what the case names."""
    assert fault_of(case, InProcess()) == ""


NODE_CLIENT = CLIENTS / "js" / "conformance.js"
PIPED = [
    pytest.param([sys.executable, "-m", "clickcook.conformance"], id="python"),
    pytest.param(
        ["node", str(NODE_CLIENT)],
        id="javascript",
        marks=pytest.mark.skipif(
            shutil.which("node") is None or not NODE_CLIENT.exists(), reason="Node is not installed"
        ),
    ),
]


@pytest.mark.parametrize("client", PIPED)
def test_every_client_is_held_to_the_cases_over_a_pipe(client: list[str]) -> None:
    """The runner needs a command alone, whatever its language, and ends with 0 where every case passes."""
    done = subprocess.run(
        [*RUNNER, "--", *client],
        cwd=CLIENTS / "python",
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(CASES)} of {len(CASES)} cases passed" in done.stdout


def test_a_client_that_does_something_else_fails_its_case() -> None:
    """A client that answers nothing to anything passes no case; exit code 1."""
    silent = "import sys\nfor _ in sys.stdin: print('{\"out\": []}', flush=True)"
    command = [*RUNNER, "--case", "opening", "--case", "renewed ahead", "--", sys.executable, "-c", silent]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1
    assert "FAIL tokens: a token is renewed ahead of its end" in done.stdout
    assert "step 1 (start at 0 ms)" in done.stdout


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"do": "send", "data": {"seq": 1}}, {"do": "send", "data": {"seq": 1, "token": "A"}}),
        ([{"do": "drop"}], []),
        ({"state": {"money": 1}}, {"state": {"money": 2}}),
        ({"state": {"money": 1}}, {"state": {}}),
        ({"retry_at_ms": 1000}, {"retry_at_ms": 1000.5}),
        ({"duplicate": True}, {"duplicate": 1}),
    ],
)
def test_differences_are_seen(expected: object, found: object) -> None:
    """What a case names must be there as it says, and the data of a frame as a whole."""
    assert difference(expected, found) != ""


def test_the_lists_of_requests_and_refusals_are_the_servers() -> None:
    """A method for each request type, a class for each error of a caller, a number where one belongs."""
    from clients.python.clickcook import Client  # noqa: PLC0415 - the class alone

    assert COUNTED == STATE_CHANGING
    assert [kind for kind in REQUEST_TYPES if not callable(getattr(Client, kind, None))] == []
    own_business = {"missing_token", "token_invalid", "session_required", "rate_limited", "unavailable"}
    codes = {refusal.code for refusal in REFUSALS}
    assert {kind.CODE for kind in errors.Refused.__subclasses__()} == codes - own_business


def test_its_version_is_that_of_the_contract() -> None:
    """A client says by its version which contract it knows; so does every other library here."""
    contract = yaml.safe_load((REPOSITORY / "docs" / "asyncapi.yaml").read_text())["info"]["version"]
    project = tomllib.loads((CLIENTS / "python" / "pyproject.toml").read_text())
    assert project["project"]["version"] == contract
    for package in CLIENTS.glob("*/package.json"):
        assert json.loads(package.read_text())["version"] == contract


def _token(number: int) -> str:
    return f"h.eyJpZCI6IjciLCJpYXQiOjAsImV4cCI6OTAwfQ.{number}"


def test_a_log_in_is_kept_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    """Written as a whole, read by nobody else, and forgotten; a damaged file is none."""
    path = tmp_path / "tokens.json"
    store = FileStore(path)
    assert store.load() is None
    tokens = Tokens(_token(1), "r", since_ms=5)
    store.save(tokens)
    assert store.load() == tokens
    assert (tokens.user_id, tokens.life_ms) == (7, 900_000)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    for damaged in ("", "{}", '{"access": "x", "refresh": "y"}', "[1]"):
        path.write_text(damaged)
        assert store.load() is None
    store.clear()
    store.clear()
    assert not path.exists()


def _session(chance: random.Random) -> Session:
    bought = {int(one.id): chance.randint(1, 9) for one in CATALOGUE.upgrades[:13] if chance.random() < 0.6}
    dishes = {one.id for one in CATALOGUE.upgrades if one.upgrade_type is UpgradeType.DISH}
    return Session(
        UserId(1),
        version=1,
        accrued_at_ms=NOW_MS,
        money=float(chance.choice((0, 3, 60, 10**6))),
        dishes=float(chance.choice((0, 1, 7, 5000))),
        rank=chance.choice((0, 1, 2, 30, 100)),
        xp=float(chance.randint(0, 90_000)),
        stars=float(chance.randint(0, 99_999)),
        boost=float(chance.randint(0, 60)),
        bought={one: 1 if one in dishes else times for one, times in bought.items()},
    )


def _known(session: Session) -> Game:
    """Write a session as the library knows it."""
    upgrades = {
        int(one.id): Upgrade(
            one.id,
            one.name,
            {},
            one.icon_name,
            one.upgrade_type.value,
            one.price_factor,
            one.price,
            one.access_level,
            Boost(one.boost.id, one.boost.boost_type.value, one.boost.value_hundredths / 100),
            session.bought.get(one.id, 0),
        )
        for one in CATALOGUE.upgrades[:13]
    }
    return Game(
        money=session.money,
        dishes=session.dishes,
        rank=session.rank,
        xp=session.xp / 100,
        need=LEVEL_XP[session.rank + 1] if session.rank < CATALOGUE.last_rank else None,
        need_is_known=True,
        stars=session.stars / 10_000,
        boost=session.boost / 10,
        upgrades=upgrades,
    )


def test_what_it_expects_is_what_the_rules_say() -> None:
    """Clicks and purchases by the library and by the model, for 500 sessions and counts up to 40."""
    chance = random.Random(7)
    for _ in range(500):
        live = LiveSession.of(_session(chance), CATALOGUE)
        game = _known(live.session)
        assert [one.next_price for one in game.upgrades.values()] == [
            price_of(one, live.session.bought.get(one.id, 0)) for one in CATALOGUE.upgrades[:13]
        ]
        kind, count = chance.choice(("cook", "sell", "upgrade_buy")), chance.choice((1, 1, 3, 40))
        upgrade_id = chance.randint(1, 13)
        found = apply(game, kind, {"id": upgrade_id} if kind == "upgrade_buy" else {"count": count})
        try:
            if kind == "upgrade_buy":
                upgrade_buy(live, upgrade_id, NOW_MS * 1000, 0)
            else:
                {"cook": cook, "sell": sell}[kind](live, count, NOW_MS * 1000)
        except Refusal:
            assert found is None
            continue
        assert found is not None
        assert (found.money, found.dishes, found.xp) == (
            live.session.money,
            live.session.dishes,
            live.session.xp / 100,
        )
        assert found.owned == {key: times for key, times in live.session.bought.items() if times}
