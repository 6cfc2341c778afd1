"""What the environment may say and how nonsense is reported."""

from __future__ import annotations

import dataclasses
import os
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.desk_settings import DeskToken, digest_of
from runtime.settings import Secret, Settings, StartupError, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTERNAL = {
    "DB_CONNECTION": "postgresql://cook:pepper@db/game",
    "REDIS_CONNECTION": "redis://cache:6379/0",
    "ACCESS_TOKEN_SECRET": "a" * 32,
    "REFRESH_TOKEN_SECRET": "r" * 32,
}


def read(environ: Mapping[str, str]) -> Settings:
    """Read without a file."""
    return read_settings(environ, dotenv=None)


def test_nothing_set_gives_the_defaults() -> None:
    """An empty environment gives exactly what the class says, with both databases embedded."""
    settings = read({})

    assert settings == Settings()
    assert settings.embeds_postgres
    assert settings.embeds_redis
    assert not settings.shares_port
    assert settings.warnings() == ()


def test_every_setting_is_read() -> None:
    """Each variable reaches its field."""
    settings = read(
        EXTERNAL
        | {
            "ACCESS_TOKEN_SECRET": f"{'a' * 32}, {'b' * 40}",
            "REDIS_PREFIX": "game1:",
            "HOST": "0.0.0.0",
            "PORT": "8080",
            "WORKERS": "2",
            "DATA_DIR": "/var/lib/game",
            "ALLOWED_ORIGINS": "https://Play.example:443/, http://localhost:5173",
            "FLUSH_INTERVAL_MS": "500",
            "SESSION_TTL_S": "60",
            "PASSIVE_INTERVAL_MS": "2000",
            "COPY_WINDOW_MS": "0",
            "OFFLINE_CAP_S": "3600",
            "CLICK_RATE": "0",
            "CLICK_BURST": "1000000",
            "AUTH_RATE": "0",
            "BCRYPT_COST": "11",
            "CATALOG_LANGUAGE": "EN",
            "LOG_LEVEL": "Debug",
            "LOG_FORMAT": "json",
            "DRAIN_S": "5",
            "DRAIN_NOTICE_S": "3",
            "MAX_CONNECTIONS_PER_USER": "1",
            "MAX_CONNECTIONS_PER_IP": "2",
            "MAX_CONNECTIONS": "1000000",
            "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "WAIT_REPLICAS": "1",
            "FLUSHER": "off",
            "GUESTS": "off",
            "GUEST_TTL_DAYS": "30",
            "SMTP_URL": "smtp://mail.example",
            "MAIL_FROM": "game@example.com",
            "PUBLIC_URL": "https://play.example/",
            "WORKER_INDEX": "0",
            "WORKER_FOLDER": "/tmp/workers",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            "TRACE_ONE_IN": "10",
            "DESK_HOST": "0.0.0.0",
            "DESK_PORT": "1400",
            "DESK_TOKENS": f"anna:{'a' * 32}, boris:{'b' * 40}:read",
            "DESK_URL": "https://desk.example/",
            "DESK_SERVERS": "http://10.0.0.4:1323, http://[fd00::5]:1324/,http://server",
        }
    )

    assert settings == Settings(
        db_connection=Secret("postgresql://cook:pepper@db/game"),
        redis_connection=Secret("redis://cache:6379/0"),
        access_token_secrets=(Secret("a" * 32), Secret("b" * 40)),
        refresh_token_secrets=(Secret("r" * 32),),
        redis_prefix="game1:",
        host="0.0.0.0",
        port=8080,
        workers=2,
        data_dir=Path("/var/lib/game"),
        allowed_origins=frozenset({"https://play.example", "http://localhost:5173"}),
        flush_interval_ms=500,
        session_ttl_s=60,
        passive_interval_ms=2000,
        copy_window_ms=0,
        offline_cap_s=3600,
        click_rate=0,
        click_burst=1_000_000,
        auth_rate=0,
        bcrypt_cost=11,
        catalog_language="en",
        log_level="debug",
        log_format="json",
        drain_s=5,
        drain_notice_s=3,
        max_connections_per_user=1,
        max_connections_per_ip=2,
        max_connections=1_000_000,
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("::1")),
        wait_replicas=1,
        flusher=False,
        guests=False,
        guest_ttl_days=30,
        smtp_url=Secret("smtp://mail.example"),
        mail_from="game@example.com",
        public_url="https://play.example",
        worker_index=0,
        worker_folder=Path("/tmp/workers"),
        trace_endpoint="http://collector:4318",
        trace_one_in=10,
        desk_host="0.0.0.0",
        desk_port=1400,
        desk_tokens=(
            DeskToken("anna", digest_of("a" * 32), read_only=False),
            DeskToken("boris", digest_of("b" * 40), read_only=True),
        ),
        desk_url="https://desk.example",
        desk_servers=(("10.0.0.4", 1323), ("fd00::5", 1324), ("server", 80)),
    )
    defaults = Settings()
    for each in dataclasses.fields(Settings):
        assert getattr(settings, each.name) != getattr(defaults, each.name), each.name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_PREFIX", "{a}:"),
        ("REDIS_PREFIX", "game*"),
        ("REDIS_PREFIX", "a b"),
        ("REDIS_PREFIX", "é:"),
        ("REDIS_PREFIX", "a" * 65),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "-1"),
        ("PORT", "1_323"),
        ("PORT", "١٣٢٣"),
        ("WORKERS", "0"),
        ("WORKERS", "1.5"),
        ("FLUSH_INTERVAL_MS", "0"),
        ("SESSION_TTL_S", "0"),
        ("PASSIVE_INTERVAL_MS", "0"),
        ("COPY_WINDOW_MS", "1001"),
        ("OFFLINE_CAP_S", "0"),
        ("CLICK_RATE", "1000001"),
        ("CLICK_BURST", "0"),
        ("AUTH_RATE", "-1"),
        ("BCRYPT_COST", "3"),
        ("BCRYPT_COST", "17"),
        ("CATALOG_LANGUAGE", "fr"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DRAIN_S", "0"),
        ("DRAIN_NOTICE_S", "601"),
        ("MAX_CONNECTIONS", "many"),
        ("HOST", "a" * 64),
        ("HOST", "play..example"),
        ("DATA_DIR", "~nobody-of-this-name/data"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "play.example"),
        ("ALLOWED_ORIGINS", "https://play.example/game"),
        ("ALLOWED_ORIGINS", "https://play.example:port"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("FLUSHER", "maybe"),
        ("GUESTS", "perhaps"),
        ("GUEST_TTL_DAYS", "0"),
        ("GUEST_TTL_DAYS", "ninety"),
        ("WAIT_REPLICAS", "11"),
        ("TRACE_ONE_IN", "0"),
        ("DESK_PORT", "65536"),
        ("DESK_PORT", "1323"),
        ("DESK_HOST", "desk..example"),
    ],
)
def test_nonsense_is_refused_in_one_line_without_the_value(name: str, value: str) -> None:
    """A value that makes no sense is refused by its variable's name, and the line says what to do."""
    with pytest.raises(StartupError) as refused:
        read({name: value})

    message = str(refused.value)
    assert message.startswith(name)
    assert ": " in message  # what is wrong: what to do
    assert message.isprintable()
    for shown in (repr(value), f"={value}", f" {value} "):
        assert shown not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_CONNECTION", "mysql://cook:pepper@db/game"),
        ("REDIS_CONNECTION", "http://:pepper@cache"),
        ("REDIS_CONNECTION", "cache:6379/pepper"),
        ("REDIS_CONNECTION", "redis://:pepper@cache:port"),
        ("REDIS_CONNECTION", "redis://:pepper@:6379"),
        ("REDIS_CONNECTION", "redis+cluster://a:1,:pepper@b:x"),
        ("REDIS_CONNECTION", "redis+sentinel://:pepper@a:26379,b:26379"),
        ("REDIS_CONNECTION", "unix://pepper.sock"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "pepper@collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://pepper@collector:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("ACCESS_TOKEN_SECRET", "pepper,,pepper"),
        ("ACCESS_TOKEN_SECRET", "pepper"),
        ("REFRESH_TOKEN_SECRET", f"{'r' * 32},pepper"),
        ("DESK_TOKENS", "anna:pepper"),
        ("DESK_TOKENS", "pepper" * 6),
        ("DESK_TOKENS", f"{'pepper' * 6}:anna"),
        ("DESK_TOKENS", f"anna:{'pepper' * 6}:write"),
        ("DESK_TOKENS", f"anna:{'pepper' * 6},anna:{'r' * 32}"),
        ("DESK_TOKENS", f"anna:{'pepper' * 6},boris:{'pepper' * 6}:read"),
        ("DESK_TOKENS", f"anna:{'pepper' * 6},"),
        ("DESK_TOKENS", f"anna:{'pepper' * 6}é"),
        ("DESK_URL", "https://pepper@desk.example"),
        ("DESK_SERVERS", "https://a:1323"),
        ("DESK_SERVERS", "http://a:1323,"),
        ("DESK_SERVERS", "http://pepper@a:1323"),
        ("DESK_SERVERS", "http://a:1323/pepper"),
        ("DESK_SERVERS", "http://a:0"),
    ],
)
def test_nonsense_in_a_secret_is_refused_without_the_value(name: str, value: str) -> None:
    """A secret that makes no sense is refused by its name, and the line shows nothing of it."""
    with pytest.raises(StartupError) as refused:
        read(EXTERNAL | {name: value})

    message = str(refused.value)
    assert message.startswith(name)
    assert ": " in message  # what is wrong: what to do
    assert "pepper" not in message


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://user:p%40ss@cache:6380/3",
        "rediss://cache:6379?ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock",
        "unix://user:pass@/run/redis.sock?db=1",
        "redis+cluster://a:7000,b:7001,[::1]:7002",
        "redis+cluster://user:pass@a:7000,b:7001",
        "rediss+cluster://a:7000",
        "redis+sentinel://user:pass@a:26379,b:26379/kitchen?sentinel_password=other",
        "rediss+sentinel://a/kitchen?ssl_ca_certs=/etc/ca.pem",
    ],
)
def test_every_kind_of_redis_address_is_taken(url: str) -> None:
    """Each documented form of REDIS_CONNECTION is accepted as it stands."""
    assert read(EXTERNAL | {"REDIS_CONNECTION": url}).redis_connection.reveal() == url


@pytest.mark.parametrize("name", ["DB_CONNECTION", "REDIS_CONNECTION", "ACCESS_TOKEN_SECRET", "HOST", "PORT"])
def test_bytes_that_are_not_utf_8_are_told_without_the_value(name: str) -> None:
    """As the environment hands them over; no library meets them later."""
    with pytest.raises(StartupError) as refused:
        read(EXTERNAL | {name: os.fsdecode(b"redis://pepper\xff")})

    assert str(refused.value) == f"{name} is not in UTF-8: set it again, in UTF-8"


@pytest.mark.parametrize("missing", ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"])
@pytest.mark.parametrize("database", ["DB_CONNECTION", "REDIS_CONNECTION"])
def test_external_databases_need_secrets(missing: str, database: str) -> None:
    """With either database external, a secret that is missing or empty stops the start."""
    environ = {name: value for name, value in EXTERNAL.items() if name == database or "SECRET" in name}

    with pytest.raises(StartupError, match=f"^{missing} is missing"):
        read(environ | {missing: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_ORIGINS", "https://a.example,https://b.example/path"),
        ("TRUSTED_PROXIES", "10.0.0.0/8 proxy"),
        ("DESK_TOKENS", f"anna:{'a' * 32},boris:short"),
        ("DESK_TOKENS", f"anna:{'a' * 32},boris"),
        ("DESK_SERVERS", "http://a,b"),
    ],
)
def test_the_wrong_entry_of_a_list_is_named_by_its_number(name: str, value: str) -> None:
    """Of several entries a person learns which one to correct."""
    with pytest.raises(StartupError, match=rf"^{name}.*entry 2\b"):
        read({name: value})


def test_a_desk_needs_tokens() -> None:
    """A port without tokens is refused; tokens without a port open nothing."""
    with pytest.raises(StartupError, match="DESK_TOKENS is missing"):
        read({"DESK_PORT": "1400"})
    assert not read({"DESK_TOKENS": f"anna:{'a' * 32}"}).opens_desk


def test_embedded_databases_take_short_secrets() -> None:
    """A secret for playing alone may be short."""
    assert read({"ACCESS_TOKEN_SECRET": "short"}).access_token_secrets == (Secret("short"),)


def test_cheap_passwords_are_warned_about_with_external_databases_only() -> None:
    """A low BCRYPT_COST is worth a warning where the accounts are not for playing alone."""
    assert len(read(EXTERNAL | {"BCRYPT_COST": "9"}).warnings()) == 1
    assert read({"BCRYPT_COST": "9"}).warnings() == ()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """`.env` fills in what the environment does not say, and its text is taken as it stands."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("PORT=2000\nHOST=0.0.0.0\nACCESS_TOKEN_SECRET='${PORT} $x'\nEMPTY\n")

    settings = read_settings({"PORT": "3000"}, dotenv)

    assert (settings.port, settings.host) == (3000, "0.0.0.0")
    assert settings.access_token_secrets[0].reveal() == "${PORT} $x"


def test_secrets_never_show() -> None:
    """No way of printing the settings shows a password or a key."""
    settings = read(EXTERNAL)

    for shown in (repr(settings), str(settings), f"{settings}", str(dataclasses.asdict(settings))):
        assert "pepper" not in shown
        assert "a" * 32 not in shown
