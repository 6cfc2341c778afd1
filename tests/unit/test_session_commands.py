"""The bytes of commands on sessions, read back as Redis reads them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import hiredis
import pytest

from game.catalogue import Boost, Catalogue, Upgrade, UpgradeId, UpgradeType
from game.session import UserId
from persistence.live.scripts import load_scripts
from persistence.live.session_addresses import SessionAddresses
from persistence.live.session_commands import PlayLimits, SessionCommands
from persistence.live.sessions import Sessions
from tests.support.plain_keys import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence.live.lanes import Lanes
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource

SCRIPTS = load_scripts()
RUN = "a" * 40
STAMP = f"3.{RUN}".encode()
KEYS = [b"2", b"session:{7}:7", b"dirty:{7}"]
SHARED = [STAMP, b"7", b"user:{7}:7", b"1", b"1-abc"]


class Line:
    """A lane that keeps what it is given."""

    run_id = RUN
    up = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._before: list[Callable[[], None]] = []

    def before_writing(self, send: Callable[[], None]) -> None:
        """Keep what sends the last commands of a pass."""
        self._before.append(send)

    def write(self) -> None:
        """End a pass."""
        before, self._before = self._before, []
        for send in before:
            send()

    def send(self, command: bytes, _on_reply: object) -> None:
        """Keep a command."""
        self.sent.append(command)

    def subscribe(self, channel: bytes) -> None:
        """Take a subscription."""

    def unsubscribe(self, channel: bytes) -> None:
        """Take the end of a subscription."""


def words(packed: bytes) -> list[bytes]:
    """Read one packed command, and see that nothing follows it."""
    reader = hiredis.Reader()
    reader.feed(packed)
    command = cast("list[bytes]", reader.gets())
    assert reader.gets() is False
    return command


def called(script: str) -> list[bytes]:
    """Return the words that a call of a script on a player's session begins with."""
    return [b"EVALSHA", SCRIPTS[script].sha.encode(), *KEYS]


@pytest.fixture
def upgrade() -> Upgrade:
    """A dish of 12.5 that raises what a click cooks."""
    boost = cast("Boost", SimpleNamespace(boost_type="dPc", value_hundredths=150))
    return cast(
        "Upgrade",
        SimpleNamespace(
            id=UpgradeId(5),
            price=12.5,
            price_factor=1.15,
            access_level=2,
            upgrade_type=UpgradeType.DISH,
            boost=boost,
        ),
    )


@pytest.fixture
def catalogue(upgrade: Upgrade) -> Catalogue:
    """A catalogue of one upgrade and three ranks."""
    return cast(
        "Catalogue",
        SimpleNamespace(generation=3, upgrades=(upgrade,), level_xp=(0, 1, 2, 30), changes=((1, 5), (3, 9))),
    )


@pytest.fixture
def line() -> Line:
    """The lane of every player."""
    return Line()


@pytest.fixture
def sessions(line: Line, catalogue: Catalogue) -> Sessions:
    """Sessions over one lane, with 50 clicks a second."""
    lanes = cast("Lanes", SimpleNamespace(cluster=False, keys=PLAIN, origin=b"1-abc", lane_of=lambda _: line))
    catalogues = cast("CatalogueSource", SimpleNamespace(current=catalogue))
    commands = SessionCommands(SCRIPTS, PLAIN, PlayLimits(50.0, 1000, 28_800), "1:cooked:10")
    return Sessions(lanes, commands, catalogues, cast("Any", None))


@pytest.fixture
def ref(sessions: Sessions) -> SessionRef:
    """A player whose channel is subscribed to."""
    ref = sessions.ref(UserId(7))
    sessions.subscribe(ref)
    return ref


def ignore(_reply: object) -> None:
    """Take a reply."""


@pytest.mark.parametrize("kind", ["cook", "sell"])
@pytest.mark.parametrize(
    ("clicks", "tail"),
    [
        ((1, "", 0), [b"1", b"20000.0", b"1000", b"", b""]),
        ((1, "tab", 0), [b"1", b"20000.0", b"1000", b"", b""]),
        ((1, "tab", 77), [b"1", b"20000.0", b"1000", b"tab", b"77"]),
        ((1, "вкладка", 8), [b"1", b"20000.0", b"1000", "вкладка".encode(), b"8"]),
        ((25, "", 0), [b"25", b"20000.0", b"1000", b"", b""]),
        ((25, "tab", 78), [b"25", b"20000.0", b"1000", b"tab", b"78"]),
    ],
)
def test_clicks(
    sessions: Sessions, line: Line, kind: str, clicks: tuple[int, str, int], tail: list[bytes]
) -> None:
    """A click is one call: the player's keys, the shared arguments, count, rate limit, and its tag if any."""
    ref = sessions.ref(UserId(7))
    sessions.subscribe(ref)

    sessions.click(ref, kind, *clicks, ignore)
    line.write()

    assert [*called(kind), *SHARED, *tail, b"28800"] == words(line.sent[-1])


def test_a_purchase_carries_the_figures_of_the_catalogue(
    sessions: Sessions, ref: SessionRef, line: Line, upgrade: Upgrade
) -> None:
    """A purchase sends the upgrade's price, factor, level, kind and boost, not what a client said of them."""
    sessions.buy(ref, upgrade, 10, "tab", 9, ignore)

    tail = [b"28800", b"tab", b"9", b"5", b"10", b"12.5", b"1.15", b"2", b"1", b"dPc", b"150"]
    assert called("upgrade_buy") + SHARED + tail == words(line.sent[-1])


def test_the_other_commands(sessions: Sessions, ref: SessionRef, line: Line) -> None:
    """Each other command sends the cap of income where it pays first, then what is its own."""
    sessions.level_up(ref, "tab", 10, ignore)
    sessions.session_reset(ref, "", 0, ignore)
    sessions.accrue(ref, ignore)
    sessions.session(ref, "tab", ignore)
    sessions.achieve(ref, ignore)

    assert [
        [*called("level_up"), *SHARED, b"28800", b"tab", b"10", b"1,2,30"],
        [*called("session_reset"), *SHARED, b"28800", b"", b""],
        [*called("passive"), *SHARED, b"28800"],
        [*called("session"), *SHARED, b"28800", b"tab"],
        [*called("achieve"), *SHARED, b"1:cooked:10", b"28800"],
    ] == [words(packed) for packed in line.sent]


def test_a_refresh_carries_the_catalogue(catalogue: Catalogue, line: Line) -> None:
    """A refresh sends the boosts, the ranks and the generations of the catalogue in force."""
    commands = SessionCommands(SCRIPTS, PLAIN, PlayLimits(0.0, 1000, 28_800), "")
    lanes = cast("Lanes", SimpleNamespace(cluster=False, keys=PLAIN, origin=b"1-abc", lane_of=lambda _: line))
    ref = SessionAddresses(lanes, cast("CatalogueSource", None)).ref(UserId(7))

    sent = words(commands.refresh(ref, STAMP.decode(), catalogue))

    tail = [STAMP, b"7", b"28800", b"user:{7}:7", b"5:dPc:150:1", b"1,2,30", b"1:5,3:9"]
    assert called("refresh") + tail == sent


def test_a_new_epoch_addresses_players_anew(
    sessions: Sessions, ref: SessionRef, line: Line, catalogue: Catalogue
) -> None:
    """The shared arguments are packed again once an epoch ended: with the catalogue of then."""
    sessions.level_up(ref, "", 0, ignore)
    catalogue.generation = 4  # type: ignore[misc]  # a stand-in, not the frozen class
    sessions.level_up(ref, "", 0, ignore)
    sessions.epoch_ended()
    sessions.level_up(ref, "", 0, ignore)

    newer = f"4.{RUN}".encode()
    assert [STAMP, STAMP, newer] == [words(packed)[5] for packed in line.sent]
