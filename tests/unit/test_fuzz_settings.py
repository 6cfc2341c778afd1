"""Whatever an environment may hold: settings within their bounds, or one line that names a variable."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.settings import MOST, Settings, StartupError, read_settings

VARIABLES = (
    "DB_CONNECTION",
    "REDIS_CONNECTION",
    "ACCESS_TOKEN_SECRET",
    "REFRESH_TOKEN_SECRET",
    "REDIS_PREFIX",
    "HOST",
    "PORT",
    "WORKERS",
    "DATA_DIR",
    "ALLOWED_ORIGINS",
    "FLUSH_INTERVAL_MS",
    "CLICK_RATE",
    "CLICK_BURST",
    "AUTH_RATE",
    "BCRYPT_COST",
    "CATALOG_LANGUAGE",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "MAX_CONNECTIONS",
    "TRUSTED_PROXIES",
    "FLUSHER",
    "WORKER_INDEX",
    "DESK_HOST",
    "DESK_PORT",
    "DESK_TOKENS",
    "DESK_URL",
    "DESK_SERVERS",
)
SECRETS = frozenset(VARIABLES[:4])
MARK = "correct horse"
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | (
    st.sampled_from(
        [
            "0",
            "-1",
            "1e3",
            "٣",
            "9" * 40,
            "10.0.0.0/33",
            "::/0",
            "fe80::1%lo",
            "http://[",
            "https://a.example:99999",
            "*",
            "redis://[::1",
            "redis://h:x",
            "unix://@",
            "redis+cluster://a,,b",
            "postgresql://u:p@[/db",
            ",",
            "off",
            "a" * 64,
        ]
    )
)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(VARIABLES), VALUES, max_size=5))
def test_every_environment_is_read_or_refused_in_one_line(environ: dict[str, str]) -> None:
    """Nothing but StartupError is raised; it is one line, names a variable and shows no secret's value."""
    for name in SECRETS & environ.keys():
        environ[name] += MARK
    try:
        found = read_settings(environ, dotenv=None)
    except StartupError as error:
        line = str(error)
        named = [name for name in VARIABLES if line.startswith(name)]
        assert named, line
        assert line.isprintable(), line
        assert MARK not in line
        return
    check_bounds(found)


def check_bounds(found: Settings) -> None:
    """Check what the rest of the server relies on."""
    assert 0 <= found.port <= 65_535
    assert 1 <= found.workers <= 256
    assert found.flush_interval_ms >= 10
    assert 4 <= found.bcrypt_cost <= 16
    for limit in (found.click_rate, found.auth_rate, found.max_connections):
        assert 0 <= limit <= MOST
    assert MARK not in repr(found)
