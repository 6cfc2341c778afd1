"""One run: start the game, let players play, let things go wrong, then check the book."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from persistence.durable.pool import open_pool
from persistence.durable.rows import row_of_session
from persistence.durable.sessions import SessionWriter, load_rows
from persistence.live.hashes import session_of
from persistence.live.scripts import load_scripts
from persistence.live.store import open_store
from persistence.writeback.marks import EVERY_BUCKET, read_due
from scripts.chaos.faults import Saboteur
from scripts.chaos.players import Player, Stage, enroll
from scripts.chaos.programs import REPOSITORY
from scripts.chaos.recoveries import Recoveries
from scripts.chaos.verdict import Verdict, judge
from scripts.chaos.world import FLUSH_INTERVAL_S, World, running_world
from scripts.clicker.book import Book, read_book
from scripts.clicker.totals import Totals
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from game.session import Session, UserId
    from scripts.chaos.plan import Fault

ANSWERED_WITHIN_S: Final = 60.0
LEASE_S: Final = 5.0
SAVED_WITHIN_S: Final = LEASE_S + 2 * FLUSH_INTERVAL_S
"""A flusher that was killed last leaves its buckets to others when its lease runs out."""

TICKS_SAVED_WITHIN_S: Final = 30.0 + SAVED_WITHIN_S
_LOOK_EVERY_S: Final = 0.05
_MARKS_A_BUCKET: Final = 100
_AUDIT_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class Outcome:
    """What a run showed.

    `saved_after_s` is until no click was unsaved, `ticks_saved_after_s` until nothing was. `ended` are
    programs that ended by themselves, by name and exit code; `unexpected` says in words what should not have
    happened.
    """

    totals: Totals
    recoveries: Recoveries
    patience: float = 1
    carried_out: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    played_s: float = 0.0
    answered_after_s: float = 0.0
    saved_after_s: float = 0.0
    ticks_saved_after_s: float = 0.0
    audit: str = ""
    ended: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether all that was promised held."""
        return self.verdict.is_clean and not self.wrong

    @property
    def wrong(self) -> list[str]:
        """What did not hold, in words."""
        totals = self.totals
        found = [*self.unexpected, *self.verdict.faults]
        if totals.lost:
            found.append(f"{totals.lost} applied numbers were not known at a reconnect")
        found += (f"a version went backwards: {step}" for step in totals.went_back)
        return found


async def run(
    folder: Path,
    faults: Sequence[Fault],
    *,
    duration_s: float,
    users: int,
    seed: int,
    say: Callable[[str], None],
    patience: float = 1,
) -> Outcome:
    """Play for `duration_s` while the faults happen, then check everything.

    `patience` is a factor of the time that answers, saving and the audit are given.
    """
    outcome = Outcome(Totals(), Recoveries(), patience=patience)
    async with running_world(folder, seed) as world:
        players = await enroll(world.url, users)
        await _put_first_sessions(world, players)
        say(f"{users} players, {len(faults)} faults in {duration_s:.0f} s")
        with (folder / "book.jsonl").open("wb") as file:
            stage = Stage(
                url=world.url,
                catalogue=read_catalogue("en"),
                book=Book(file),
                totals=outcome.totals,
                recoveries=outcome.recoveries,
                stop=asyncio.Event(),
                seed=seed,
            )
            await _play(world, stage, players, faults, duration_s=duration_s, outcome=outcome, say=say)
        for name, program in world.programs.items():
            outcome.ended.update(f"{name}: {code}" for code in program.ended)
        await _await_saved(world, players, outcome)
        outcome.audit = await asyncio.to_thread(_audit, world, outcome)
        live, saved = await _read_back(world, players)
        book = read_book(folder / "book.jsonl")
        outcome.verdict = judge(players, book, live, saved, stage.catalogue)
    return outcome


async def _put_first_sessions(world: World, players: Sequence[Player]) -> None:
    writer = SessionWriter(world.dsn)
    try:
        await writer.write([row_of_session(player.start) for player in players])
    finally:
        writer.close()


async def _play(
    world: World,
    stage: Stage,
    players: Sequence[Player],
    faults: Sequence[Fault],
    *,
    duration_s: float,
    outcome: Outcome,
    say: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    saboteur = Saboteur(world, stage.seed)

    async def happen(number: int, fault: Fault) -> None:
        await asyncio.sleep(fault.at_s - (loop.time() - began_s))
        say(f"{fault.at_s:7.1f} s  {fault.kind} {fault.target}  for {fault.for_s:.1f} s")
        stage.recoveries.began(number)
        await saboteur.carry_out(fault)
        stage.recoveries.ended(number, fault.kind, loop.time())
        outcome.carried_out[fault.kind] += 1

    async with asyncio.TaskGroup() as group:
        playing = [group.create_task(stage.play(player), name=player.name) for player in players]
        happening = [group.create_task(happen(number, fault)) for number, fault in enumerate(faults)]
        await asyncio.sleep(duration_s)
        await asyncio.gather(*happening)
        mended_s = loop.time()
        outcome.played_s = mended_s - began_s
        stage.stop.set()
        _, late = await asyncio.wait(playing, timeout=outcome.patience * ANSWERED_WITHIN_S)
        outcome.answered_after_s = loop.time() - mended_s
        for task in late:
            outcome.unexpected.append(f"{task.get_name()} still waits for answers")
            task.cancel()


async def _await_saved(world: World, players: Sequence[Player], outcome: Outcome) -> None:
    """Measure until the flushers have saved everything."""
    clickers = {player.user_id for player in players if player.kind != "idler"}
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    clicks_saved = False
    within_s, ticks_within_s = (
        outcome.patience * limit_s for limit_s in (SAVED_WITHIN_S, TICKS_SAVED_WITHIN_S)
    )
    async with open_store(world.redis_url, "chaos", load_scripts()) as store:
        while loop.time() - began_s < ticks_within_s:
            due = await read_due(store, EVERY_BUCKET, _MARKS_A_BUCKET)
            unsaved = clickers & {mark.user_id for mark in due.marks}
            if not clicks_saved and not unsaved:
                clicks_saved, outcome.saved_after_s = True, loop.time() - began_s
            if not clicks_saved and loop.time() - began_s > within_s:
                outcome.unexpected.append(f"{len(unsaved)} sessions not saved within {within_s:.0f} s")
                clicks_saved = True
            if not due.dirty:
                outcome.ticks_saved_after_s = loop.time() - began_s
                return
            await asyncio.sleep(_LOOK_EVERY_S)
    outcome.unexpected.append(f"sessions still marked after {ticks_within_s:.0f} s")


def _audit(world: World, outcome: Outcome) -> str:
    """Run the audit as an operator does; its last line."""
    settings = {**world.programs["flusher"].settings, "PYTHONPATH": str(REPOSITORY), "LOG_LEVEL": "error"}
    settings |= {"REDIS_CONNECTION": world.redis_url, "DB_CONNECTION": world.dsn}
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.audit", "--max-lag-s", "0"],
        cwd=world.folder,
        env=settings,
        capture_output=True,
        text=True,
        timeout=outcome.patience * _AUDIT_WITHIN_S,
        check=False,
    )
    if ended.returncode != 0:
        outcome.unexpected.append(f"audit: exit code {ended.returncode}: {ended.stdout}{ended.stderr}")
    lines = ended.stdout.strip().splitlines()
    return lines[-1] if lines else ""


async def _read_back(
    world: World, players: Sequence[Player]
) -> tuple[dict[UserId, Session], dict[UserId, Session]]:
    user_ids = [player.user_id for player in players]
    live: dict[UserId, Session] = {}
    async with open_store(world.redis_url, "chaos", load_scripts()) as store:
        for user_id, fields in zip(user_ids, await store.hashes(user_ids), strict=True):
            if isinstance(fields, dict) and fields:
                live[user_id] = session_of(user_id, fields)
    pool = await open_pool(world.dsn)
    try:
        rows = await load_rows(pool, user_ids)
    finally:
        await pool.close()
    saved = {user_id: row.session for user_id, row in rows.items() if row.session is not None}
    return live, saved
