"""What ticks alone changed is not in the append-only file, and not lost by it: it is computed again."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from game.achievements import ACHIEVEMENTS, packed_achievements
from game.session import Session, UserId
from persistence.live.catalogue_arguments import packed_boosts, packed_changes, packed_levels
from persistence.live.hashes import fields_of
from persistence.live.keys import bucket_of
from persistence.live.session_commands import MARK_AFTER_MS
from tests.support.game_catalogue import CATALOGUE, CHANGED, SANDWICH
from tests.support.live_hash import by_name, with_values
from tests.support.plain_keys import channel, dirty_key, session_key
from tests.support.servers import ValkeyServer, running_valkey
from tests.support.wire import CLOCK_KEY, Wire, connected, load_for_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from game.catalogue import Catalogue
    from persistence.live.scripts import Script

CAP_S: Final = 28_800
TTL_S: Final = 1200
LEVELS: Final = packed_levels(CATALOGUE)
_users: Final = itertools.count(930_000)


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey that can be made to forget its memory and to load its file."""
    with running_valkey("--enable-debug-command", "yes") as server:
        yield server


@pytest.fixture(scope="module")
def wire(valkey: ValkeyServer) -> Iterator[Wire]:
    """The connection that plays."""
    with connected(str(valkey.socket)) as opened:
        yield opened


@pytest.fixture(scope="module")
def begin(wire: Wire) -> Callable[[], Kept]:
    """Begin the game of a new player; the scripts have a clock that the test sets."""
    scripts = load_for_test(wire)
    return lambda: Kept(wire, scripts)


class Kept:
    """A player whose every script is real, those of the flusher too; starts saved, with much income."""

    def __init__(self, wire: Wire, scripts: Mapping[str, Script]) -> None:
        self._wire, self._scripts = wire, scripts
        self.user = UserId(next(_users))
        self.keys = session_key(self.user), dirty_key(bucket_of(self.user))
        # The flusher's scripts take Redis' own time; the others go on from there.
        self._now_us = time.time_ns() // 1000
        self._catalogue: Catalogue = CATALOGUE
        self._read_version = 0
        self.run = "run"
        started = Session(
            self.user,
            version=1,
            accrued_at_ms=self._now_us // 1000,
            money=5e4,
            dishes=40.0,
            rank=3,
            xp=3e5,
            accumulated=11_000.0,
            bought={SANDWICH: 1, 3: 4, 4: 2, 5: 3, 6: 3, 11: 2, 13: 1},
        )
        wire.ask("HSET", self.keys[0], *fields_of(started, "kept@example.com"))
        self.refresh()
        self.save()

    @property
    def now_ms(self) -> int:
        """The time of the test's clock."""
        return self._now_us // 1000

    def wait(self, time_us: int) -> None:
        """Let time pass."""
        self._now_us += time_us

    def fields(self) -> dict[str, str]:
        """Read the session by the names of what it holds."""
        words = self._wire.ask("HGETALL", self.keys[0])
        return by_name(dict(zip(words[::2], words[1::2], strict=True)))

    def version(self) -> int:
        """Read the version."""
        return int(self.fields()["version"])

    def _call(self, name: str, *args: Any, others: tuple[Kept, ...] = ()) -> list[Any]:
        keys = [key for kept in (self, *others) for key in kept.keys]
        self._wire.ask("SET", CLOCK_KEY, self._now_us)
        return list(self._wire.ask("EVALSHA", self._scripts[name].sha, len(keys), *keys, *args))

    @property
    def _stamp(self) -> str:
        return f"{self._catalogue.generation}.{self.run}"

    def _change(self, name: str, *args: Any) -> list[Any]:
        return self._call(name, self._stamp, self.user, channel(self.user), 0, "w", *args)

    def cook(self, client: str = "", seq: int = 0) -> None:
        """Cook once."""
        self._change("cook", 1, "0", 1, client, seq or "")

    def sell(self, client: str = "", seq: int = 0) -> None:
        """Sell once."""
        self._change("sell", 1, "0", 1, client, seq or "")

    def buy(self) -> None:
        """Buy one more oven."""
        oven = CATALOGUE.by_id[5]  # type: ignore[index]  # UpgradeId is an int
        price = repr(oven.price), repr(oven.price_factor)
        self._change("upgrade_buy", CAP_S, "", "", 5, 1, *price, 0, 0, oven.boost.boost_type.value, 40)

    def level_up(self) -> None:
        """Rise, while there is xp."""
        self._change("level_up", CAP_S, "", "", LEVELS)

    def reset(self) -> None:
        """Trade everything for prestige, while there are stars."""
        self._change("session_reset", CAP_S, "", "")

    def session(self) -> None:
        """Show the session."""
        self._change("session", CAP_S, "")

    def achieve(self) -> None:
        """Look for achievements."""
        self._change("achieve", packed_achievements(ACHIEVEMENTS))

    def tick(self, *others: Kept, cap_s: int = CAP_S) -> None:
        """Tick as a server does, with others in the same call."""
        each = [word for kept in (self, *others) for word in (kept.user, channel(kept.user), 0)]
        self._call("tick", self._stamp, "w", cap_s, MARK_AFTER_MS, *each, others=others)

    def refresh(self, catalogue: Catalogue | None = None) -> None:
        """Derive again, from another catalogue where one is given."""
        catalogue = catalogue or self._catalogue
        packed = packed_boosts(catalogue), packed_levels(catalogue), packed_changes(catalogue)
        stamp = f"{catalogue.generation}.{self.run}"
        if (
            self._call("refresh", stamp, self.user, CAP_S, MARK_AFTER_MS, channel(self.user), *packed)[0]
            == b"ok"
        ):
            self._catalogue = catalogue

    def change(self) -> None:
        """Let a newer catalogue come into force."""
        self.refresh(CHANGED)

    def put(self, **values: object) -> None:
        """Put values into the session, by nobody's rules."""
        words = self._wire.ask("HGETALL", self.keys[0])
        held = with_values(dict(zip(words[::2], words[1::2], strict=True)), values)
        self._wire.ask("HSET", self.keys[0], *itertools.chain.from_iterable(held.items()))

    def read(self) -> None:
        """Do what a flusher does first: read the session that it will write."""
        self._read_version = self.version()

    def write(self) -> None:
        """Do what a flusher does last, for what it has read."""
        if self._read_version:
            self._call("clean", TTL_S, self._now_us // 1000, self.user, self._read_version)

    def save(self) -> None:
        """Read and write with nothing between."""
        self.read()
        self.write()

    def mark(self) -> None:
        """Have it written again."""
        self._call("mark", self.user, 0)

    def leave(self) -> None:
        """Lose the last connection."""
        self._call("release", self.user, TTL_S)

    def paid(self) -> dict[str, str]:
        """Pay up to now, and read what there is then."""
        assert self._change("passive", CAP_S, 0)[0] == b"ok"
        return self.fields()

    def copy(self) -> bytes:
        """Take a copy of what memory holds."""
        return bytes(self._wire.ask("DUMP", self.keys[0]))

    def put_back(self, copy: bytes) -> None:
        """Let memory hold what it held."""
        self._wire.ask("RESTORE", self.keys[0], 0, copy, "REPLACE")


STEPS: Final[dict[str, Callable[[Kept, int], None]]] = {
    "cook": lambda kept, _: kept.cook(),
    "cook once": lambda kept, number: kept.cook("tab", number + 1),
    "sell": lambda kept, _: kept.sell(),
    "sell once": lambda kept, number: kept.sell("tab", number + 1),
    "buy": lambda kept, _: kept.buy(),
    "level_up": lambda kept, _: kept.level_up(),
    "reset": lambda kept, _: kept.reset(),
    "session": lambda kept, _: kept.session(),
    "achieve": lambda kept, _: kept.achieve(),
    "tick": lambda kept, _: kept.tick(),
    "refresh": lambda kept, _: kept.refresh(),
    "change": lambda kept, _: kept.change(),
    "read": lambda kept, _: kept.read(),
    "write": lambda kept, _: kept.write(),
    "save": lambda kept, _: kept.save(),
    "mark": lambda kept, _: kept.mark(),
    "leave": lambda kept, _: kept.leave(),
}
KINDS: Final = (
    *STEPS,
    *("tick", "tick", "tick", "save") * 10,
    *("read", "write", "cook", "sell", "leave", "change") * 3,
)
WAITS_US: Final = (0, 0, 100_000, 300_000, 1_000_000, 1_000_000, 1_000_000, 2_500_000, 10_500_000)


@settings(
    max_examples=500,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(WAITS_US)), min_size=4, max_size=16))
@example(steps=[("tick", 1_000_000), ("cook", 0)])
@example(steps=[("tick", 1_000_000), ("sell", 0)])
@example(steps=[("tick", 1_000_000), ("leave", 0)])
@example(steps=[("tick", 1_000_000), ("change", 100_000)])
@example(steps=[("tick", 1_000_000), ("read", 0), ("tick", 1_000_000), ("write", 0)])
def test_the_file_and_the_clock_give_what_memory_had(
    wire: Wire, begin: Callable[[], Kept], steps: list[tuple[str, int]]
) -> None:
    """After any history Redis' file, paid up to a moment, equals its memory, paid up to the same moment."""
    kept = begin()
    for number, (kind, wait_us) in enumerate(steps):
        kept.wait(wait_us)
        STEPS[kind](kept, number)
    told, memory = kept.version(), kept.copy()
    wire.ask("DEBUG", "LOADAOF")
    kept.wait(1_500_000)
    from_file = kept.paid()
    kept.put_back(memory)
    expected = kept.paid()
    # A Redis that comes back is another run, under which `refresh` raises the version by as much.
    assert int(from_file["version"]) + MARK_AFTER_MS >= told
    # What gaps of 10 s or more earned is shown once; ticks that were sent as they came are a gap to the file.
    del expected["version"], from_file["version"]
    shown, expected_shown = from_file.pop("offline", "0:0:0:0"), expected.pop("offline", "0:0:0:0")
    assert int(shown.split(":")[0]) >= int(expected_shown.split(":")[0])
    assert expected == from_file


def test_ticks_alone_write_nothing_until_they_are_marked(
    valkey: ValkeyServer, wire: Wire, begin: Callable[[], Kept]
) -> None:
    """For 30 s after a save they cost no byte of the append-only file; a tick on a marked session does."""
    kept, marked = begin(), begin()

    def written_by_a_tick(*others: Kept) -> int:
        """Count the bytes that a tick wrote, beside those of the test's clock."""
        kept.wait(1_000_000)
        marked.wait(1_000_000)
        before = valkey.log_file.stat().st_size
        kept.tick(*others)
        return valkey.log_file.stat().st_size - before - clock_bytes

    before = valkey.log_file.stat().st_size
    kept.session()
    clock_bytes = valkey.log_file.stat().st_size - before
    assert [written_by_a_tick() for _ in range(25)] == [0] * 25
    marked.cook()
    assert written_by_a_tick(marked) > 0
    kept.cook()
    assert written_by_a_tick() > 0
    kept.save()
    assert written_by_a_tick() == 0


def test_ticks_are_written_where_a_short_cap_could_cut_them_off(
    wire: Wire, begin: Callable[[], Kept]
) -> None:
    """Income while away is paid up to a cap; one under ten times the 30 s leaves no tick out."""
    for cap_s, is_written in ((300, False), (299, True)):
        kept = begin()
        kept.wait(1_000_000)
        before = kept.fields()
        kept.tick(cap_s=cap_s)
        told = kept.fields()
        wire.ask("DEBUG", "LOADAOF")
        assert (kept.fields() == told) is is_written
        assert (kept.fields() == before) is not is_written


def test_no_version_comes_twice_where_a_replica_took_over(begin: Callable[[], Kept]) -> None:
    """Without income too, another run of Redis takes a version above all that its master may have told.

    The replica lacks the last clicks, and its clock is behind.
    """
    kept = begin()
    kept.put(bought=f"{SANDWICH}:1")
    kept.refresh()
    kept.save()
    for click_s in (0, 1, 3600):
        kept.wait(click_s * 1_000_000)
        kept.cook()
        replica = kept.copy()
        for _ in range(40):
            kept.cook()
        told = kept.version()
        kept.put_back(replica)
        kept.run = f"after {click_s}"
        kept.wait(-20_000_000)
        kept.refresh()
        assert kept.version() > told


def test_no_clock_that_is_behind_leads_back_to_versions_that_were_told(
    wire: Wire, begin: Callable[[], Kept]
) -> None:
    """Another run of Redis takes a version above all that ticks can have told, whatever its time is."""
    for clock_us in (-40_000_000, 0, 1_000_000):
        for ahead_ms in (0, 10**7):
            kept = begin()
            # Saved with most of a second unpaid: so 31 ticks fit into the 30 s.
            kept.put(version=kept.now_ms + ahead_ms, saved_at=kept.now_ms, accrued_at=kept.now_ms - 1_990)
            for wait_us in (0, 10_000, *(1_000_000,) * 29):
                kept.wait(wait_us)
                before = kept.version()
                kept.tick()
                assert kept.version() > before
            told, marked = kept.version(), kept.fields()["dirty"]
            assert marked == "0"
            wire.ask("DEBUG", "LOADAOF")
            assert kept.version() < told
            kept.run = f"another {clock_us}"
            kept.wait(clock_us)
            kept.refresh()
            assert kept.version() > told
