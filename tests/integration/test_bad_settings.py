"""Bad settings through every command: code 2, one line that names the variable, nothing of a password."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.ports import free_port
from tests.support.pgbouncer import needs_pgbouncer, running_pgbouncer
from tests.support.servers import running_postgres, running_valkey

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
SERVE = ("server", "persistence.flusher", "scripts.flush", "scripts.audit", "scripts.restore")
SEED = ("seeds.create_enums", "seeds.create_upgrades", "seeds.create_levels_xps")
SECRETS = {"ACCESS_TOKEN_SECRET": "a" * 32, "REFRESH_TOKEN_SECRET": "r" * 32}
PIECES = ("Winter2026", "kitchen", "pepper")
LIMIT_S = 240.0

# One of a kind each: tests/unit/test_connection_urls.py has them all.
WRONG = {
    "DB_CONNECTION": "postgresql://cook:Winter2026#kitchen@127.0.0.1:1/cook",
    "REDIS_CONNECTION": "redis://:pepper@127.0.0.1:1/0?socket_timeout=kitchen",
}


async def refusal(folder: Path, module: str, environ: Mapping[str, str]) -> str:
    """Run a command that is refused, and return its one line."""
    own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        cwd=folder,
        env={**own, "PYTHONPATH": str(ROOT), **SECRETS, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    shown = out.decode() + errors.decode()
    for piece in PIECES:
        assert piece not in shown
    assert (process.returncode, out, errors.count(b"\n")) == (2, b"", 1), shown
    return errors.decode()


@pytest.mark.parametrize("module", SERVE + SEED)
async def test_every_command_refuses_wrong_settings(tmp_path: Path, module: str) -> None:
    """Addresses that make no sense, and a `.env` as an editor of Windows may save it."""
    plain, encoded = tmp_path / "plain", tmp_path / "encoded"
    for folder in (plain, encoded):
        folder.mkdir()
    (encoded / ".env").write_text("ACCESS_TOKEN_SECRET=pepper\n", encoding="utf-16")
    # Seeds use no Redis, and look at no address of one.
    wrong = [(name, value) for name, value in WRONG.items() if module in SERVE or name == "DB_CONNECTION"]

    *lines, of_file = await asyncio.gather(
        *(refusal(plain, module, {name: value}) for name, value in wrong), refusal(encoded, module, {})
    )

    for (name, _), line in zip(wrong, lines, strict=True):
        assert line.removeprefix("click-and-cook: ").startswith(f"{name} ")
    assert of_file.removeprefix("click-and-cook: ") == ".env is in UTF-16: save it as UTF-8\n"


@needs_pgbouncer
async def test_every_kind_of_command_refuses_a_pooler_in_transaction_mode(
    tmp_path: Path, valkey_url: str
) -> None:
    """The server, the flusher, an operator's command and a seed alike, at once and with code 2."""
    port = free_port()
    with running_postgres("-c", "listen_addresses=127.0.0.1", "-c", f"port={port}"):
        behind = f"host=127.0.0.1 port={port} user=postgres"
        with running_pgbouncer(behind, "transaction", "cook", "pepper") as pooler:
            environ = {
                "DB_CONNECTION": f"postgresql://cook:pepper@127.0.0.1:{pooler}/postgres",
                "REDIS_CONNECTION": valkey_url,
                "PORT": str(free_port()),
            }
            kinds = (SERVE[0], SERVE[1], SERVE[2], SEED[0])
            for line in await asyncio.gather(*(refusal(tmp_path, kind, environ) for kind in kinds)):
                assert line.removeprefix("click-and-cook: ").startswith(
                    "DB_CONNECTION: a pooler (PgBouncer) in transaction or statement mode is in between"
                )


async def test_a_wrong_password_of_redis_ends_a_command_at_once(tmp_path: Path) -> None:
    """Waiting is of no use, so nobody waits: code 2, and the variable's name."""
    with running_postgres() as postgres, running_valkey(port=free_port()) as valkey:
        valkey.ask("CONFIG", "SET", "requirepass", "sesame")
        environ = {
            "DB_CONNECTION": postgres.dsn(),
            "REDIS_CONNECTION": f"redis://:pepper@127.0.0.1:{valkey.port}",
        }
        kinds = (SERVE[1], SERVE[2])
        for line in await asyncio.gather(*(refusal(tmp_path, kind, environ) for kind in kinds)):
            assert line.startswith("REDIS_CONNECTION: Redis knows no such user with this password: ")
