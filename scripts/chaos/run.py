"""One run in one world: start the game, let players play, let things go wrong, then judge what happened."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from game.session import UserId
from persistence.durable.pool import open_pool
from persistence.durable.rows import row_of_session
from persistence.durable.sessions import SessionWriter, load_rows
from persistence.live.hashes import session_of
from persistence.live.scripts import load_scripts
from persistence.live.store import open_store
from scripts.chaos.cluster_world import Cluster
from scripts.chaos.faults import Saboteur
from scripts.chaos.history.events import Ended, Faulted, History
from scripts.chaos.history.judge import Judgement, judge, settled
from scripts.chaos.history.log_ins import log_in
from scripts.chaos.history.player import KINDS, Player, Stage, first_session
from scripts.chaos.history.recorder import Recorder
from scripts.chaos.history.samples import AWAY, watch_health, watch_logs, watch_saved
from scripts.chaos.library_players import LibraryPlayers
from scripts.chaos.plan import GRACEFUL, stepped_s
from scripts.chaos.world import SESSION_TTL_S, World, running_world
from scripts.soak.players import Tally
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from game.session import Session
    from scripts.chaos.plan import Fault, Kind
    from scripts.chaos.world import Cast

SERVED_WITHIN_S: Final = 20.0
SETTLED_WITHIN_S: Final = 8.0
SAVED_WITHIN_S: Final = 45.0
"""What ticks alone changed is saved 30 s later."""

ENDED_WITHIN_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.25
_STORED_WITHIN_S: Final = 30.0
_ENROLLED_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class Outcome:
    """What a run in a world showed. `unexpected` says in words what no judge is asked about.

    `by_library` is what the players saw who play by the client library.
    """

    world: str
    history: History
    judgement: Judgement = field(default_factory=Judgement)
    played_s: float = 0.0
    unexpected: list[str] = field(default_factory=list)
    by_library: Tally = field(default_factory=Tally)

    @property
    def wrong(self) -> list[str]:
        """What did not hold, in words."""
        return [
            f"{self.world}: {line}"
            for line in (*self.unexpected, *self.by_library.faults, *self.judgement.lines)
        ]


@dataclass(frozen=True, slots=True)
class Script:
    """How long is played, by how many, and what goes wrong; `patience` is a factor of all limits.

    `faults` are drawn once it is known which kinds a world has. `kinds` of players follow each other.
    """

    duration_s: float
    faults: Callable[[Sequence[Kind]], Sequence[Fault]]
    users: int = 6
    seed: int = 0
    patience: float = 1
    kinds: Sequence[str] = KINDS
    by_library: int = 2
    """How many more play by the client library."""


async def run(
    world_name: str, folder: Path, script: Script, say: Callable[[str], None], cast: Cast | None = None
) -> Outcome:
    """Play in a world while faults happen, then judge everything."""
    outcome = Outcome(world_name, History({}))
    recorder = Recorder(outcome.history)
    catalogue = read_catalogue("en")
    async with running_world(world_name, folder, script.seed, cast) as world:
        stage = Stage(world.urls, catalogue, recorder, script.seed, SESSION_TTL_S + 1.0)
        players = await _enroll(stage, world.dsn, script.kinds, script.users)
        library = LibraryPlayers(world, script.by_library, script.seed, script.patience)
        outcome.by_library = library.tally
        more_users = await library.enroll()
        if isinstance(world.redis, Cluster):
            world.redis.users = [*(player.start.user_id for player in players), *more_users]
        users = {player.name: player.start.user_id for player in players}
        logs = {name: program.log for name, program in world.programs.items()}
        async with asyncio.TaskGroup() as watching:
            watches = [
                watching.create_task(recorder.watch_itself()),
                watching.create_task(watch_saved(recorder, world.dsn, users)),
                watching.create_task(watch_health(recorder, world.ports)),
                watching.create_task(watch_logs(recorder, logs)),
            ]
            playing = watching.create_task(library.play(stage.hold))
            await _play(world, stage, players, script, outcome=outcome, say=say)
            await playing
            for watch in watches:
                watch.cancel()
        for program in world.programs.values():
            outcome.history.events += program.quits
        await _end(world, recorder, script.patience)
    outcome.judgement = judge(outcome.history, catalogue, script.patience)
    return outcome


async def _enroll(stage: Stage, dsn: str, kinds: Sequence[str], count: int) -> list[Player]:
    """Open accounts, of each kind in turn, and give each a session to begin with."""
    players = []
    names = sorted(stage.urls)
    stage.recorder.history.began_s = stage.recorder.now_s
    for number in range(count):
        kind = kinds[number % len(kinds)]
        name = f"{kind}-{number}"
        async with asyncio.timeout(_ENROLLED_WITHIN_S):
            family = None
            while family is None:
                family = await log_in(stage.recorder, name, names[0], stage.urls[names[0]])
        start = first_session(kind, UserId(family.user_id))
        players.append(Player(name, kind, start, stage))
        stage.recorder.history.start[name] = start
    writer = SessionWriter(dsn)
    try:
        await writer.write([row_of_session(player.start) for player in players])
    finally:
        writer.close()
    return players


async def _play(
    world: World,
    stage: Stage,
    players: Sequence[Player],
    script: Script,
    *,
    outcome: Outcome,
    say: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    history, recorder = outcome.history, stage.recorder
    saboteur = Saboteur(world, script.seed)

    async def happen(fault: Fault) -> None:
        await asyncio.sleep(fault.at_s - (loop.time() - began_s))
        at_s = recorder.now_s

        def began() -> None:
            nonlocal at_s
            at_s = recorder.now_s
            say(f"{at_s - began_s:7.1f} s  {fault.kind} {fault.target}  for {fault.for_s:.1f} s")

        try:
            await saboteur.carry_out(fault, began)
        except Exception as error:  # noqa: BLE001 - the run goes on and says so
            outcome.unexpected.append(f"{fault.kind} could not be carried out or ended: {error!r}")
        recorder.add(
            Faulted(
                at_s,
                recorder.now_s,
                str(fault.kind),
                fault.target,
                world.redis.losses(fault.kind),
                gives_s=max(0, stepped_s(fault)),
                is_graceful=fault.kind in GRACEFUL,
            )
        )

    async with asyncio.TaskGroup() as group:
        for at, player in enumerate(players):
            group.create_task(player.play(2 + at % 2), name=player.name)
        faults = script.faults(world.kinds)
        await asyncio.gather(*(happen(fault) for fault in faults))
        await asyncio.sleep(max(0.0, script.duration_s - (loop.time() - began_s)))
        outcome.played_s = loop.time() - began_s
        await _until_served(stage, players, script.patience, outcome)
        stage.hold.set()
        history.stopped_s = recorder.now_s
        await _until_settled(world, stage, players, script.patience)
        history.ended_s = recorder.now_s
        stage.stop.set()
    # What ticks alone changed is saved 30 s later; a click is saved at once, and that with it.
    await asyncio.gather(*(player.cook_once() for player in players if player.kind == "idler"))
    await _until_saved(world, stage, players, script.patience)


async def _until_served(stage: Stage, players: Sequence[Player], patience: float, outcome: Outcome) -> None:
    """Play on without faults until every tab had something accepted that it sent since."""
    since_s = stage.recorder.now_s
    end_s = since_s + patience * SERVED_WITHIN_S
    waiting = list(players)
    while stage.recorder.now_s < end_s:
        waiting = [one for one in players if any(tab.last_accepted_s < since_s for tab in one.tabs)]
        if not waiting:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    for player in waiting:
        late = [tab.name for tab in player.tabs if tab.last_accepted_s < since_s]
        outcome.unexpected += [f"{name} had nothing accepted after the last fault" for name in late]


async def _until_settled(world: World, stage: Stage, players: Sequence[Player], patience: float) -> None:
    """Wait until everything is answered, told and saved, or until that is too late."""
    history = stage.recorder.history
    end_s = stage.recorder.now_s + patience * SETTLED_WITHIN_S
    wait_s = _LOOK_EVERY_S
    while True:
        await asyncio.sleep(wait_s)
        wait_s = min(2.0, wait_s * 1.5)
        is_late = stage.recorder.now_s > end_s
        if not is_late and any(tab.in_flight for player in players for tab in player.tabs):
            continue
        with suppress(*AWAY):
            history.live, history.saved = await _stored(world, players)
            history.stored_s = stage.recorder.now_s
        # In a thread: where this one stands still all links do.
        if is_late or (history.saved and await asyncio.to_thread(settled, history, stage.catalogue)):
            return


async def _until_saved(world: World, stage: Stage, players: Sequence[Player], patience: float) -> None:
    """Wait until PostgreSQL has what Redis has, now that everybody has left and nothing more is paid."""
    history = stage.recorder.history
    end_s = stage.recorder.now_s + patience * SAVED_WITHIN_S
    while stage.recorder.now_s < end_s:
        with suppress(*AWAY):
            history.live, history.saved = await _stored(world, players)
            history.stored_s = stage.recorder.now_s
        if history.saved and all(history.saved.get(name) == one for name, one in history.live.items()):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _stored(world: World, players: Sequence[Player]) -> tuple[dict[str, Session], dict[str, Session]]:
    """Read the sessions in Redis and in PostgreSQL."""
    names = {player.start.user_id: player.name for player in players}
    live: dict[str, Session] = {}
    async with asyncio.timeout(_STORED_WITHIN_S):
        async with open_store(world.redis.address(""), "chaos", load_scripts()) as store:
            for user_id, fields in zip(names, await store.hashes(list(names)), strict=True):
                if isinstance(fields, dict) and fields:
                    live[names[user_id]] = session_of(user_id, fields)
        pool = await open_pool(world.dsn)
        try:
            rows = await load_rows(pool, list(names))
        finally:
            await pool.close()
    saved = {names[key]: row.session for key, row in rows.items() if row.session is not None}
    return live, saved


async def _end(world: World, recorder: Recorder, patience: float) -> None:
    """Ask every process to end."""
    asked_s = recorder.now_s
    within_s = patience * ENDED_WITHIN_S
    codes = await asyncio.gather(*(program.stop(within_s) for program in world.programs.values()))
    for name, code in zip(world.programs, codes, strict=True):
        recorder.add(Ended(asked_s, recorder.now_s, name, code))
