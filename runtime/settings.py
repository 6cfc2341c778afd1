"""The only reader of the environment: typed, checked, secrets hidden.

Each setting is a variable of the environment or a line of `.env`; the environment wins, and an empty value
counts as none. `.env.example` lists them for operators.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.connection_urls import parse_postgres_url, parse_redis_url
from runtime.desk_settings import parse_desk_servers, parse_desk_tokens
from runtime.env_file import EnvFileError, read_env_file
from runtime.mail_settings import check_public_url, check_sender, parse_smtp_url
from runtime.url_parts import UrlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.desk_settings import DeskToken
    from runtime.url_parts import Node

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LEAST_SECRET_BYTES = 32
LEAST_SAFE_BCRYPT_COST = 10
MOST = 1_000_000
DEFAULT_PORTS = {"http": 80, "https": 443}


class StartupError(Exception):
    """The server cannot start. The text is one line that says what to do; the process ends with code 2."""


class Secret:
    """A text that shows itself to `reveal` alone, never in a log line or a trace. False when empty."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; the caller must not log it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose. Read by `read_settings`; a field has its variable's name.

    `db_connection` and `redis_connection` are empty until the embedded servers that stand in for them run,
    and so are the keys of tokens that are made for them. Of several keys the first signs and all verify.
    A limit of 0 is off: `click_rate` (clicks a second a user), `auth_rate` (failures in 15 minutes for an
    address with an e-mail), `max_connections_*` (each for one process). `worker_index` is set in the
    processes that a supervisor started: they share the port, and tell each other their figures in
    `worker_folder`. Traces go to `trace_endpoint` (none: nothing is traced), one WebSocket request in
    `trace_one_in` among them. The desk in a browser listens on `desk_port` (0: it is off), and may also be
    reached at `desk_url`, through a proxy; it shows this server and `desk_servers`.
    """

    db_connection: Secret = field(default=Secret(""))
    redis_connection: Secret = field(default=Secret(""))
    redis_prefix: str = ""
    access_token_secrets: tuple[Secret, ...] = ()
    refresh_token_secrets: tuple[Secret, ...] = ()
    host: str = "127.0.0.1"
    port: int = 1323
    workers: int = 1
    data_dir: Path = Path(".data")
    allowed_origins: frozenset[str] = frozenset()
    flush_interval_ms: int = 1000
    session_ttl_s: int = 1200
    passive_interval_ms: int = 1000
    copy_window_ms: int = 80
    offline_cap_s: int = 28_800
    click_rate: int = 50
    click_burst: int = 1000
    auth_rate: int = 10
    bcrypt_cost: int = 12
    catalog_language: str = "ru"
    log_level: str = "info"
    log_format: str = "console"
    drain_s: int = 10
    drain_notice_s: int = 0
    max_connections_per_user: int = 20
    max_connections_per_ip: int = 200
    max_connections: int = 20_000
    trusted_proxies: tuple[Network, ...] = ()
    wait_replicas: int = 0
    flusher: bool = True
    guests: bool = True
    guest_ttl_days: int = 90
    smtp_url: Secret = field(default=Secret(""))
    mail_from: str = ""
    public_url: str = ""
    worker_index: int | None = None
    worker_folder: Path | None = None
    trace_endpoint: str = ""
    trace_one_in: int = 100
    desk_host: str = "127.0.0.1"
    desk_port: int = 0
    desk_tokens: tuple[DeskToken, ...] = ()
    desk_url: str = ""
    desk_servers: tuple[Node, ...] = ()

    @property
    def embeds_postgres(self) -> bool:
        """Whether PostgreSQL is to be started here."""
        return not self.db_connection

    @property
    def embeds_redis(self) -> bool:
        """Whether Valkey is to be started here."""
        return not self.redis_connection

    @property
    def opens_desk(self) -> bool:
        """Whether this process serves the desk: of several workers the first does."""
        return self.desk_port > 0 and not self.worker_index

    @property
    def shares_port(self) -> bool:
        """Whether other processes listen on the same port (`SO_REUSEPORT`)."""
        return self.worker_index is not None

    def warnings(self) -> tuple[str, ...]:
        """Return settings that are allowed but probably not meant, a line each."""
        external = not (self.shares_port or (self.embeds_postgres and self.embeds_redis))
        if external and self.bcrypt_cost < LEAST_SAFE_BCRYPT_COST:
            return (f"BCRYPT_COST={self.bcrypt_cost} makes stolen passwords cheap to guess; use 12",)
        return ()


def read_settings(environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")) -> Settings:
    """Read and check all settings.

    `environ` defaults to the process' environment; `dotenv` None reads no file. Raises StartupError for the
    first value that makes no sense, naming its variable.
    """
    try:
        from_file = read_env_file(dotenv) if dotenv is not None else {}
    except EnvFileError as error:
        raise StartupError(str(error)) from None
    chosen = os.environ if environ is None else environ
    values = {name: value.strip() for name, value in (from_file | dict(chosen)).items()}
    read = _Reader({name: value for name, value in values.items() if value})
    settings = Settings(
        db_connection=read.postgres_url("DB_CONNECTION"),
        redis_connection=read.redis_url("REDIS_CONNECTION"),
        redis_prefix=read.prefix("REDIS_PREFIX"),
        access_token_secrets=read.keys("ACCESS_TOKEN_SECRET"),
        refresh_token_secrets=read.keys("REFRESH_TOKEN_SECRET"),
        host=read.host("HOST", "127.0.0.1"),
        port=read.whole("PORT", 1323, 0, 65_535),
        workers=read.whole("WORKERS", 1, 1, 256),
        data_dir=read.folder("DATA_DIR", ".data"),
        allowed_origins=read.origins("ALLOWED_ORIGINS"),
        flush_interval_ms=read.whole("FLUSH_INTERVAL_MS", 1000, 10, 600_000),
        session_ttl_s=read.whole("SESSION_TTL_S", 1200, 1, 604_800),
        passive_interval_ms=read.whole("PASSIVE_INTERVAL_MS", 1000, 50, 60_000),
        copy_window_ms=read.whole("COPY_WINDOW_MS", 80, 0, 1000),
        offline_cap_s=read.whole("OFFLINE_CAP_S", 28_800, 1, 31_536_000),
        click_rate=read.whole("CLICK_RATE", 50, 0, MOST),
        click_burst=read.whole("CLICK_BURST", 1000, 1, MOST),
        auth_rate=read.whole("AUTH_RATE", 10, 0, MOST),
        bcrypt_cost=read.whole("BCRYPT_COST", 12, 4, 16),
        catalog_language=read.one_of("CATALOG_LANGUAGE", ("ru", "en")),
        log_level=read.one_of("LOG_LEVEL", ("info", "debug", "warning", "error")),
        log_format=read.one_of("LOG_FORMAT", ("console", "json")),
        drain_s=read.whole("DRAIN_S", 10, 1, 600),
        drain_notice_s=read.whole("DRAIN_NOTICE_S", 0, 0, 600),
        max_connections_per_user=read.whole("MAX_CONNECTIONS_PER_USER", 20, 0, MOST),
        max_connections_per_ip=read.whole("MAX_CONNECTIONS_PER_IP", 200, 0, MOST),
        max_connections=read.whole("MAX_CONNECTIONS", 20_000, 0, MOST),
        trusted_proxies=read.networks("TRUSTED_PROXIES"),
        wait_replicas=read.whole("WAIT_REPLICAS", 0, 0, 10),
        flusher=read.one_of("FLUSHER", ("on", "off")) == "on",
        guests=read.one_of("GUESTS", ("on", "off")) == "on",
        guest_ttl_days=read.whole("GUEST_TTL_DAYS", 90, 1, 36_500),
        smtp_url=read.smtp_url("SMTP_URL"),
        mail_from=read.checked("MAIL_FROM", check_sender),
        public_url=read.checked("PUBLIC_URL", check_public_url).rstrip("/"),
        worker_index=read.optional_whole("WORKER_INDEX", 0, 255),
        worker_folder=read.optional_path("WORKER_FOLDER"),
        trace_endpoint=read.web_address("OTEL_EXPORTER_OTLP_ENDPOINT"),
        trace_one_in=read.whole("TRACE_ONE_IN", 100, 1, MOST),
        desk_host=read.host("DESK_HOST", "127.0.0.1"),
        desk_port=read.whole("DESK_PORT", 0, 0, 65_535),
        desk_tokens=read.desk_tokens("DESK_TOKENS"),
        desk_url=read.checked("DESK_URL", check_public_url).rstrip("/"),
        desk_servers=parse_desk_servers(read.checked("DESK_SERVERS", parse_desk_servers)),
    )
    _check_secrets(settings)
    _check_mail(settings)
    _check_desk(settings)
    return settings


def _check_secrets(settings: Settings) -> None:
    if settings.shares_port or (settings.embeds_postgres and settings.embeds_redis):
        return  # what a worker gets, its supervisor has checked, or made for embedded servers
    for name, keys in (
        ("ACCESS_TOKEN_SECRET", settings.access_token_secrets),
        ("REFRESH_TOKEN_SECRET", settings.refresh_token_secrets),
    ):
        advice = "make one with: openssl rand -hex 32"
        if not keys:
            raise StartupError(f"{name} is missing: external databases need a secret of your own; {advice}")
        if any(len(key.reveal().encode()) < LEAST_SECRET_BYTES for key in keys):
            raise StartupError(
                f"{name} is too short: at least {LEAST_SECRET_BYTES} bytes are needed; {advice}"
            )


def _check_mail(settings: Settings) -> None:
    if not settings.smtp_url:
        return
    if not settings.mail_from:
        raise StartupError("MAIL_FROM is missing: with SMTP_URL give the address that mail comes from")
    if not settings.public_url:
        raise StartupError("PUBLIC_URL is missing: with SMTP_URL give the page's address, for links in mail")


def _check_desk(settings: Settings) -> None:
    if not settings.desk_port:
        return
    if settings.desk_port == settings.port:
        raise StartupError("DESK_PORT is the same as PORT: give the desk a port of its own")
    if not settings.desk_tokens:
        raise StartupError(
            "DESK_TOKENS is missing: with DESK_PORT give name:token for each operator; "
            "make a token with: openssl rand -hex 32"
        )


class _Reader:
    """Turns texts into values, or into a StartupError that names the variable."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str) -> str:
        """Return the value as it stands; `default` where there is none."""
        text = self._values.get(name, default)
        try:
            text.encode()
        except UnicodeError:  # a byte of the environment that is no UTF-8
            raise StartupError(f"{name} is not in UTF-8: set it again, in UTF-8") from None
        return text

    def host(self, name: str, default: str) -> str:
        text = self.text(name, default)
        try:
            text.encode("idna")
        except UnicodeError:
            raise StartupError(f"{name} makes no sense: give the name or address of a host") from None
        return text

    def folder(self, name: str, default: str) -> Path:
        text = self.text(name, default)
        try:
            return Path(text).expanduser()
        except RuntimeError:
            raise StartupError(
                f"{name} begins with ~ and a name that no user here has: give the folder's whole path"
            ) from None

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name, str(default))
        # int() would also take "1_000", "+5" and the digits of other scripts.
        if re.fullmatch(r"[0-9]{1,12}", text) is None or not low <= int(text) <= high:
            raise StartupError(f"{name} makes no sense: give a whole number from {low} to {high}")
        return int(text)

    def optional_whole(self, name: str, low: int, high: int) -> int | None:
        return self.whole(name, 0, low, high) if name in self._values else None

    def optional_path(self, name: str) -> Path | None:
        return Path(self.text(name, "")) if name in self._values else None

    def web_address(self, name: str) -> str:
        text = self.text(name, "")
        try:
            parts = urlsplit(text)
            makes_sense = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            makes_sense = False
        if text and not makes_sense:
            raise StartupError(f"{name} makes no sense: give the collector's address, as in http://host:4318")
        return text

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        text = self.text(name, choices[0])
        if text.lower() not in choices:
            raise StartupError(f"{name} makes no sense: give one of {', '.join(choices)}")
        return text.lower()

    def keys(self, name: str) -> tuple[Secret, ...]:
        if name not in self._values:
            return ()
        keys = tuple(part.strip() for part in self.text(name, "").split(","))
        if not all(keys):
            raise StartupError(f"{name} holds an empty key: give keys separated by single commas")
        return tuple(Secret(key) for key in keys)

    def postgres_url(self, name: str) -> Secret:
        return self._url(name, parse_postgres_url)

    def redis_url(self, name: str) -> Secret:
        return self._url(name, parse_redis_url)

    def smtp_url(self, name: str) -> Secret:
        return self._url(name, parse_smtp_url)

    def desk_tokens(self, name: str) -> tuple[DeskToken, ...]:
        text = self._url(name, parse_desk_tokens).reveal()
        return parse_desk_tokens(text) if text else ()

    def checked(self, name: str, check: Callable[[str], object]) -> str:
        return self._url(name, check).reveal()

    def prefix(self, name: str) -> str:
        text = self.text(name, "")
        # Braces would choose another slot of a cluster; * ? [ ] and \ mean more in patterns of ACLs and SCAN.
        if re.fullmatch(r"[A-Za-z0-9._:-]{0,64}", text) is None:
            raise StartupError(
                f"{name} makes no sense: give at most 64 letters, digits and . _ - : as in game1:"
            )
        return text

    def _url(self, name: str, parse: Callable[[str], object]) -> Secret:
        text = self.text(name, "")
        if text:
            try:
                parse(text)
            except UrlError as error:
                # Without its cause, which holds parts of the address.
                raise StartupError(f"{name} {error}") from None
        return Secret(text)

    def origins(self, name: str) -> frozenset[str]:
        origins = set()
        for at, part in enumerate(self.text(name, "").split(","), 1):
            text = part.strip().lower().removesuffix("/")
            if text:
                origins.add(self._origin(f"{name}: entry {at}", text))
        return frozenset(origins)

    @staticmethod
    def _origin(entry: str, text: str) -> str:
        wrong = f"{entry} is no origin: give scheme://host or scheme://host:port, separated by commas"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise StartupError(wrong) from None
        extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
        if not parts.scheme or not parts.hostname or extra or "*" in text:
            raise StartupError(wrong)
        # Browsers leave the default port out of the Origin header.
        if port is not None and DEFAULT_PORTS.get(parts.scheme) == port:
            text = text.removesuffix(f":{port}")
        return text

    def networks(self, name: str) -> tuple[Network, ...]:
        networks = []
        for at, part in enumerate(self.text(name, "").replace(",", " ").split(), 1):
            try:
                networks.append(ipaddress.ip_network(part))
            except ValueError:
                raise StartupError(
                    f"{name}: entry {at} is no address or network: give some as in 10.0.0.5 or 10.0.0.0/8, "
                    "with zeros behind the mask"
                ) from None
        return tuple(networks)
