"""Redis at a start: reached with all that a lane needs, or the reason why not in plain words.

A lane that cannot connect tries for ever and needs no reason. A start does: one connection is opened
as a lane opens it and asked what a lane asks, and what goes wrong is put into words that show no address.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import MovedError, RedisError

from game.session import UserId
from persistence.errors import LiveUnavailable
from persistence.live.addresses import CONNECT_TIMEOUT_S, opener, sentinel_openers
from persistence.live.keys import Keys, bucket_of
from persistence.live.reasons import NODE_OF_A_CLUSTER, LiveRefused, explained
from persistence.named_files import unreadable
from runtime.connection_urls import RedisKind, parse_redis_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import AbstractConnection

    from persistence.live.addresses import Open
    from runtime.connection_urls import RedisUrl
    from runtime.url_parts import Node

_Command = tuple[str | int, ...]

WAIT_S: Final = 5.0
_AGAIN_S: Final = 0.2
_ANSWER_TIMEOUT_S: Final = 2.0
_TRIED: Final = (RedisError, OSError, TimeoutError)
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_RETURN_1: Final = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
_NOBODY: Final = UserId(0)


async def reach_redis(url: str, prefix: str = "", *, wait_s: float = WAIT_S) -> None:
    """Return once Redis, every master of a cluster, gives a lane what it needs; keys begin with `prefix`.

    Raises LiveUnavailable where it does not within `wait_s`, LiveRefused as soon as waiting is of no use.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + wait_s
    while True:
        try:
            return await _check(url, prefix)
        except LiveRefused:
            raise
        except LiveUnavailable:
            if loop.time() + _AGAIN_S > end_s:
                raise
        await asyncio.sleep(_AGAIN_S)


async def _check(url: str, prefix: str) -> None:
    address = parse_redis_url(url)
    needed = _needed(Keys(prefix, address.database))
    if words := unreadable(address.options, _FILES):
        raise LiveRefused(words)
    if address.kind is RedisKind.CLUSTER:
        await _check_cluster(url, address, needed)
        return
    if address.kind is RedisKind.SENTINEL:
        await _check_sentinels(url, address)
    node = None if address.kind is RedisKind.SENTINEL else address.nodes[:1]
    await _tried(address, opener(url), node, needed)


def _needed(keys: Keys) -> tuple[_Command, ...]:
    """List commands that ask for each right that the game needs; user 0 is nobody: they change nothing."""
    bucket = bucket_of(_NOBODY)
    named = (
        keys.session(_NOBODY),
        keys.dirty(bucket),
        keys.load(_NOBODY),
        keys.revoked(_NOBODY, "0"),
        keys.lease(0),
        keys.flushers,
        keys.throttle(bucket, "0"),
        keys.reconcile("0"),
    )
    return (
        ("INFO", "server"),
        ("SCRIPT", "LOAD", "return 1"),
        ("EVALSHA", _RETURN_1, 1, keys.session(_NOBODY)),
        ("EXISTS", *named),
        ("SPUBLISH", keys.channel(_NOBODY), ""),
    )


async def _check_cluster(url: str, address: RedisUrl, needed: Sequence[_Command]) -> None:
    """Ask a node for the masters, the first that answers, and try each master."""
    for node in address.nodes:
        try:
            masters = await _masters(url, address, node)
            break
        except LiveRefused:
            raise
        except LiveUnavailable as error:
            last = error
    else:
        raise last
    if not masters:
        raise LiveUnavailable("the cluster's slots belong to no node yet")
    for host, _ in masters:
        if host == "?":
            raise LiveRefused(
                "a node of the cluster announces its address as ?: set cluster-announce-hostname there, "
                "or cluster-preferred-endpoint-type ip"
            )
    for master in masters:
        await _tried(address, opener(url, master), (master,), needed)


async def _masters(url: str, address: RedisUrl, asked: Node) -> list[Node]:
    connection = None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S + _ANSWER_TIMEOUT_S):
            connection = await opener(url, asked)()
            await connection.send_command("CLUSTER", "SLOTS")
            reply = cast("list[Any]", await connection.read_response(disable_decoding=True))
    except _TRIED as error:
        raise await explained(error, address, asked) from error
    finally:
        await _dropped(connection)
    asked_host, _ = asked
    found = {(host.decode() if host else asked_host, port) for _, _, (host, port, *_), *_ in reply}
    return sorted(found)


async def _check_sentinels(url: str, address: RedisUrl) -> None:
    """Look for one Sentinel that lets us in; which master it knows is asked later."""
    last: LiveUnavailable | None = None
    for node, open_connection in zip(address.nodes, sentinel_openers(url), strict=True):
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await _dropped(await open_connection())
        except _TRIED as error:
            last = await explained(error, address, node)
        else:
            return
    if last is not None:
        raise type(last)(f"of the Sentinels: {last}") from last


async def _tried(
    address: RedisUrl, open_connection: Open, node: tuple[Node, ...] | None, needed: Sequence[_Command]
) -> None:
    connection = None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S + _ANSWER_TIMEOUT_S):
            connection = await open_connection()
            for words in needed:
                await connection.send_command(*words)
                try:
                    await connection.read_response(disable_decoding=True)
                except MovedError:
                    if address.kind is not RedisKind.CLUSTER:
                        raise LiveRefused(NODE_OF_A_CLUSTER) from None
    except _TRIED as error:
        raise await explained(error, address, node[0] if node else None) from error
    finally:
        await _dropped(connection)


async def _dropped(connection: AbstractConnection | None) -> None:
    """End a connection at once: to take leave in order, TLS would wait for the other side."""
    if connection is not None and (writer := connection._writer) is not None:  # noqa: SLF001 - redis-py waits
        connection._reader, connection._writer = None, None  # noqa: SLF001 - as above
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop's turn in which the socket is closed
