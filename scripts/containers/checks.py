"""What is done with the containers: started, played with, renewed while people play, stopped."""

from __future__ import annotations

import json
import re
import resource
import secrets
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scripts.containers.bed import SOURCE, Bed, CommandFailedError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

URL: Final = "http://127.0.0.1:1323"
SERVERS: Final = 3
PER_ADDRESS: Final = 20
FAILURES: Final = 6
GATEWAY: Final = "172.30.132.1"
"""Whom the proxy sees where a port is published on loopback: the gateway of compose.yaml's front network."""
_UP_WITHIN_S: Final = 300.0
_PROXY_STOPS_WITHIN_S: Final = 10.0
"""Docker kills what has not stopped by then."""
_SECRETS: Final = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET")
_NEEDED_FILES: Final = 131072
"""The highest limit of open files in compose.yaml."""
_LOWER_LIMITS: Final = """\
services:
  proxy:
    ulimits: {{nofile: {files}}}
    command: [haproxy, -n, "{connections}", -f, /usr/local/etc/haproxy/haproxy.cfg]
  server:
    ulimits: {{nofile: {files}}}
"""


class CheckFailedError(Exception):
    """Something is not as it should be; the text says what."""


@dataclass(slots=True)
class Checks:
    """One bed with images in it, and where to say what was done; `unchecked` collects what could not be."""

    bed: Bed
    repository: Path
    say: Callable[[str], None]
    unchecked: list[str]

    def settings(self) -> None:
        """Write a fresh `.env`, as docs/operations.md makes it."""
        lines = [f"{name}={secrets.token_hex(32)}" for name in _SECRETS]
        lines += [
            f"TRUSTED_FRONTS={GATEWAY}",
            f"MAX_CONNECTIONS_PER_IP={PER_ADDRESS}",
            f"AUTH_RATE={FAILURES}",
        ]
        files = "compose.yaml"
        if (most := _most_files()) < _NEEDED_FILES:
            # Only someone who may raise limits can give a container more than this process has.
            lower = _LOWER_LIMITS.format(files=most, connections=(most - 200) // 2)
            self._write("lower-limits.yaml", lower)
            files += ":lower-limits.yaml"
            self.unchecked.append(f"limits of open files, of which this machine allows {most}")
        self._write(".env", "\n".join([*lines, f"COMPOSE_FILE={files}", ""]))

    def up(self) -> None:
        """Build and start everything, as README and docs say; returns when all of it is healthy."""
        self.bed.run(
            *("docker", "compose", "up", "--detach", "--build", "--wait", f"--scale=server={SERVERS}"),
            limit_s=_UP_WITHIN_S,
        )
        rows = self._services()
        without = [row["Name"] for row in rows if row["Service"] != "migrate" and row["Health"] != "healthy"]
        if without or len(rows) < SERVERS + 4:
            raise CheckFailedError(f"not healthy: {without} of {[row['Name'] for row in rows]}")
        self.say(f"built and up: {len(rows)} containers, all healthy")

    def visitors(self) -> None:
        """See what the proxy keeps inside and whom the limits count."""
        with self.bed.start_outside(
            *(sys.executable, "-m", "scripts.containers.visitors", URL),
            *(f"--connections={SERVERS * PER_ADDRESS}", f"--failures={FAILURES}"),
        ) as visitors:
            said, _ = visitors.communicate(timeout=90)
        if visitors.returncode:
            raise CheckFailedError(said.strip() or f"the visitors ended with {visitors.returncode}")
        inside = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:1323/metrics').status)"
        status = self.bed.run("docker", "compose", "exec", "-T", "server", "python", "-c", inside).strip()
        if status != "200":
            raise CheckFailedError(f"/metrics on a server: {status}")
        self.say("/metrics is hidden; limits count the players behind a trusted front, each for himself")

    def rolling_restart(self) -> None:
        """Play while all servers and the flusher are replaced with the commands of docs/operations.md."""
        before = {row["ID"] for row in self._services() if row["Service"] in ("server", "flusher")}
        self.bed.run("sh", "-c", f"echo '# of the newer release' >> {SOURCE}/server/__main__.py")
        players = self._players()
        began_s = time.monotonic()
        try:
            self.bed.run("bash", "-euc", rolling_restart_commands(self.repository), limit_s=_UP_WITHIN_S)
            took_s = time.monotonic() - began_s
        finally:
            report, _ = players.communicate("stop\n", timeout=90)
        seen = json.loads(report.splitlines()[-1])
        rows = [row for row in self._services() if row["Service"] in ("server", "flusher")]
        stayed = [row["Name"] for row in rows if row["ID"] in before]
        if stayed or len(rows) != SERVERS + 1:
            raise CheckFailedError(f"not replaced: {stayed} of {[row['Name'] for row in rows]}")
        if seen["broken"] or seen["wrong"] or not seen["moves"]:
            raise CheckFailedError(f"the rolling restart was noticed: {seen}")
        self.say(
            f"rolling restart in {took_s:.0f} s: {seen['clicks']} clicks, all counted once; {seen['moves']} "
            "reconnects, none broken"
        )

    def audit(self) -> None:
        """Hold Redis and PostgreSQL against each other."""
        self._in_a_server("scripts.flush")
        said = self._in_a_server("scripts.audit", "--max-lag-s", "0").strip().splitlines()
        self.say(f"audit: {said[-1]}")

    def proxy_stops(self) -> None:
        """Stop the proxy while people play: quickly, and by itself."""
        [proxy] = [row["ID"] for row in self._services() if row["Service"] == "proxy"]
        players = self._players()
        try:
            began_s = time.monotonic()
            self.bed.run("docker", "compose", "stop", "proxy", limit_s=60)
            took_s = time.monotonic() - began_s
        finally:
            players.kill()
            players.communicate()
        code = self.bed.run("docker", "inspect", "--format", "{{.State.ExitCode}}", proxy).strip()
        if code != "0" or took_s > _PROXY_STOPS_WITHIN_S:
            raise CheckFailedError(f"stopping the proxy took {took_s:.1f} s and ended with {code}")
        self.say(f"the proxy stopped with code 0 in {took_s:.1f} s while people played")

    def down(self) -> None:
        """Stop and remove everything."""
        flusher = [row["ID"] for row in self._services() if row["Service"] in ("server", "flusher")]
        self.bed.run("docker", "compose", "stop", limit_s=120)
        codes = self.bed.run("docker", "inspect", "--format", "{{.Name}} {{.State.ExitCode}}", *flusher)
        wrong = [line for line in codes.splitlines() if not line.endswith(" 0")]
        self.bed.run("docker", "compose", "down", "--volumes", limit_s=120)
        left = self.bed.run("docker", "ps", "--all", "--quiet").split()
        if wrong or left:
            raise CheckFailedError(f"stopped with other codes than 0: {wrong}; left: {left}")
        self.say("down: servers and flusher drained and ended with 0, nothing is left")

    def _players(self) -> subprocess.Popen[str]:
        players = self.bed.start_outside(sys.executable, "-m", "scripts.containers.players", URL)
        if players.stdout is None or players.stdout.readline().strip() != "playing":
            players.kill()
            raise CheckFailedError("the players could not begin")
        return players

    def _services(self) -> list[dict[str, Any]]:
        lines = self.bed.run("docker", "compose", "ps", "--format", "json").splitlines()
        return [json.loads(line) for line in lines]

    def _in_a_server(self, module: str, *words: str) -> str:
        return self.bed.run("docker", "compose", "exec", "-T", "server", "python", "-m", module, *words)

    def _write(self, name: str, text: str) -> None:
        self.bed.run("sh", "-c", f"cat > {SOURCE}/{name}", stdin=text.encode())


def rolling_restart_commands(repository: Path) -> str:
    """Return the commands of a rolling restart with Compose, word for word from docs/operations.md."""
    page = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    block = re.search(r"^\*\*A rolling restart\*\*.*?\n\n((?:    [^\n]*\n)+)", page, re.MULTILINE | re.DOTALL)
    if block is None:
        raise CheckFailedError("docs/operations.md no longer shows a rolling restart")
    return "\n".join(line.removeprefix("    ") for line in block[1].splitlines())


def _most_files() -> int:
    """Return how many files a process may open here at most, after trying to raise that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= _NEEDED_FILES:
        return _NEEDED_FILES
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, _NEEDED_FILES))
    except (ValueError, OSError):
        return hard
    return _NEEDED_FILES


__all__ = ["CheckFailedError", "Checks", "CommandFailedError", "rolling_restart_commands"]
