"""The servers that the other tests stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from tests.support.servers import ValkeyServer


def test_valkey_keeps_what_was_written_through_a_crash(own_valkey: ValkeyServer) -> None:
    """A value written before a kill is there after the next start."""
    own_valkey.ask("SET", "key", "value")

    own_valkey.kill()
    own_valkey.start()

    assert own_valkey.ask("GET", "key") == "value"


def test_cluster_covers_all_slots(cluster_nodes: list[ValkeyServer]) -> None:
    """Each of the three masters answers for its share of the slots."""
    for node in cluster_nodes:
        assert node.facts("CLUSTER INFO")["cluster_slots_ok"] == "16384"


async def test_database_is_empty(postgres_dsn: str) -> None:
    """A test's database holds no table of another test."""
    connection = await asyncpg.connect(postgres_dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()
