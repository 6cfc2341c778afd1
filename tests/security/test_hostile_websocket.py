"""WebSocket clients who want to tie the server up, next to one who just plays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING

import psutil

from tests.support.limits import LIMIT_S
from tests.support.players import Player, player, register
from tests.support.raw_http import HANDSHAKE, everything_after, quiet_log
from tests.support.ws_peer import masked, more, raw_frame, text

if TYPE_CHECKING:
    from tests.support.game_server import GameServer

MIB = 1024 * 1024
LEAST_CLICKS_MEANWHILE = 3
DEAF = 20
DEAF_REQUESTS = 100
CROWD = 100
CROWD_AT_ONCE = 20
KEPT_MIB = 30
"""Twenty times what a connection may leave unread, and what the answers under way take."""

FLOODS = {
    "many fragments": (1008, text(b"{", fin=False) + more(b" ") * 64),
    "fragments without an end": (1009, text(b"{", fin=False) + more(b" " * 4000) * 3),
    "many pings": (1008, raw_frame(0x89, b"x" * 125) * 60),
    "many pongs": (1008, raw_frame(0x8A) * 60),
    "pings among fragments": (1008, text(b"{", fin=False) + raw_frame(0x89) * 60),
    "a message declared to be huge": (1009, b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4)),
    "a length with its first bit set": (1009, b"\x81\xff" + b"\xff" * 8 + bytes(4)),
    "a long message": (1009, text(b" " * 10_001)),
    "frames without masks": (1002, raw_frame(0x81, b"{}", masked=False)),
    "reserved bits": (1002, raw_frame(0xC1, b"{}")),
    "an unknown kind": (1002, raw_frame(0x83, b"{}")),
    "a continuation of nothing": (1002, raw_frame(0x80, b"{}")),
    "a long ping": (1002, masked(9, b"x" * 126)),
    "a close with half a code": (1002, raw_frame(0x88, b"\x03")),
    "a close with a code of nobody's": (1002, raw_frame(0x88, b"\x03\xed")),
    "compressed nonsense": (1002, raw_frame(0xC1, b"\xaa\x00")),
    "a surrogate in UTF-8": (1007, text(b'{"a":"\xed\xa0\x80"}')),
    "binary": (1003, masked(2, b"{}")),
    "twenty messages of nonsense": (1008, text(b"[" * 4000) * 20),
}


async def test_floods_end_their_own_connection_and_hold_up_nobody(game: GameServer) -> None:
    """Each is closed with its code, one line is logged for it; another player is answered meanwhile."""
    async with player(game) as anna:
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        # A client that had to wait until all of them are processed would be answered once, each time. On a
        # busy machine they may be over before this process has had time for its clicks.
        async with asyncio.timeout(LIMIT_S):
            while await clicks_beside_floods(game, anna) < LEAST_CLICKS_MEANWHILE:
                pass


async def clicks_beside_floods(game: GameServer, anna: Player) -> int:
    """Flood, and click meanwhile; return how many clicks were answered by then."""
    with quiet_log(game, lines=len(FLOODS)):
        floods = [everything_after(game, HANDSHAKE + flood) for _, flood in FLOODS.values()]
        flooding = asyncio.gather(*floods)
        clicks = 0
        while not flooding.done():
            assert (await anna.ask("cook"))["applied"] == 1
            clicks += 1
            await asyncio.sleep(0.01)
        received = await flooding
    assert {name: code for name, (code, _) in FLOODS.items()} == {
        name: close_code_in(answer) for name, answer in zip(FLOODS, received, strict=True)
    }
    return clicks


def close_code_in(received: bytes) -> int:
    """Find the close frame, the last one that a server sends."""
    frames = received.partition(b"\r\n\r\n")[2]
    code = 0
    while frames:
        length = frames[1]
        start = 2
        if length == 126:
            length, start = int.from_bytes(frames[2:4], "big"), 4
        if frames[0] == 0x88:
            code = int.from_bytes(frames[start : start + 2], "big")
        frames = frames[start + length :]
    return code


async def test_a_crowd_without_tokens_fills_no_log(game: GameServer) -> None:
    """A hundred connections that come and go without a token write ten lines in ten seconds at most."""
    before, began_s = game.log.count("connection_closed"), time.monotonic()
    with quiet_log(game, lines=CROWD):
        for _ in range(CROWD // CROWD_AT_ONCE):
            visit = HANDSHAKE + raw_frame(0x88, b"\x03\xe8")
            await asyncio.gather(*(everything_after(game, visit) for _ in range(CROWD_AT_ONCE)))
    # Ten seconds of the server's may begin at any moment of ours.
    windows = (time.monotonic() - began_s) // 10 + 2
    assert game.log.count("connection_closed") - before <= 10 * windows


async def test_who_asks_and_never_reads_costs_a_bounded_amount(game: GameServer) -> None:
    """Twenty who ask for long answers and read none are closed; nothing of theirs piles up."""
    if game.process is None:
        raise RuntimeError("the server does not run")
    process = psutil.Process(game.process.pid)
    tokens = [(await asyncio.to_thread(register, game))["access_token"] for _ in range(DEAF // 10)]
    async with player(game) as anna:
        await anna.ask("session")
        before_mib = process.memory_info().rss / MIB
        with contextlib.ExitStack() as stack:
            for index in range(DEAF):
                ask_without_reading(stack.enter_context(socket.socket()), game, tokens[index // 10])
            cut_off = asyncio.create_task(asyncio.to_thread(game.wait_for_log, '"code": 4000', DEAF))
            most_mib = before_mib
            while not cut_off.done():
                most_mib = max(most_mib, process.memory_info().rss / MIB)
                assert "current_rank" in await anna.ask("level_check")
                await asyncio.sleep(0.05)
            await cut_off
    assert most_mib < before_mib + KEPT_MIB, (before_mib, most_mib)


def ask_without_reading(deaf: socket.socket, server: GameServer, token: str) -> None:
    """Ask for the list of upgrades a hundred times, which are two megabytes, and read nothing."""
    requests = {"message_type": "request", "request_id": "1", "data": {"token": token}}
    session = text(json.dumps({**requests, "request_type": "session"}).encode())
    listing = text(json.dumps({**requests, "request_type": "upgrade_list"}).encode())
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(LIMIT_S)
    deaf.connect(("127.0.0.1", server.port))
    deaf.sendall(HANDSHAKE + session + listing * DEAF_REQUESTS)
