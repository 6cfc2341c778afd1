"""Stand-ins for the images that compose.yaml and the Dockerfile name, under their names."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

from scripts.containers.bed import SOURCE, Bed

if TYPE_CHECKING:
    from pathlib import Path

OWN: Final = "click-and-cook"
_STAGES: Final = {
    "python": "python",
    "haproxy": "haproxy",
    "redis": "redis",
    "valkey/valkey": "redis",
    "postgres": "postgres",
}
_CONTEXT: Final = "/tmp/stand_in"  # noqa: S108 - of the bed, where nobody else is


def needed_images(bed: Bed, repository: Path) -> list[str]:
    """List the images that are not built here: the composition's, and what the Dockerfile begins with."""
    named = bed.run("docker", "compose", "config", "--images").split()
    base = re.search(r"^ARG PYTHON_IMAGE=(.+)$", (repository / "Dockerfile").read_text(), re.MULTILINE)
    if base is not None:
        named.append(base[1])
    return sorted({name for name in named if repository_of(name) != OWN})


def repository_of(image: str) -> str:
    """Return an image's name without tag and digest."""
    return image.partition("@")[0].rpartition(":")[0] or image


def make_stand_ins(bed: Bed, names: list[str], root: Path, wheels: Path) -> None:
    """Build an image for each name from a root file system. Raises KeyError for one that has no stand-in."""
    bed.run("cp", "-r", f"{SOURCE}/scripts/containers/stand_in", _CONTEXT)
    _copy(bed, wheels, f"{_CONTEXT}/wheels")
    with _packed(root) as tar:
        bed.run("docker", "import", "-", "debian", stdin=tar)
    for name in names:
        bed.run(
            "docker",
            "build",
            "--quiet",
            f"--target={_STAGES[repository_of(name)]}",
            f"--tag={name}",
            _CONTEXT,
        )


def versions(bed: Bed) -> str:
    """Say what runs: the engine, Compose, and the programs in the stand-ins."""
    engine = bed.run("docker", "version", "--format", "{{.Server.Version}}").strip()
    compose = bed.run("docker", "compose", "version", "--short").strip()
    programs = bed.run(
        *("docker", "run", "--rm", "--network=none", "debian", "sh", "-c"),
        "python3 -V; haproxy -v | head -1; redis-server -v; /usr/lib/postgresql/*/bin/postgres -V",
    )
    found = re.findall(r"Python \S+|HAProxy version [\d.]+|v=[\d.]+|PostgreSQL\) [\d.]+", programs)
    words = ", ".join(found).replace("v=", "Redis ").replace(") ", " ").replace(" version", "")
    return f"Docker {engine}, Compose {compose}; in the stand-ins {words}"


def _packed(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE)  # noqa: S603, S607 - ours


def _copy(bed: Bed, folder: Path, to: str) -> None:
    bed.run("mkdir", "-p", to)
    with _packed(folder) as tar:
        bed.run("tar", "-C", to, "-x", stdin=tar)
