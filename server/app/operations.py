"""What operators and browsers meet: the port, its routes and files, readiness and figures."""

from __future__ import annotations

import asyncio
import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.log_output import LOG_OUTPUT
from server.app.desk import build_desk
from server.http.account_routes import account_routes
from server.http.cors import Origins
from server.http.people_routes import Features, people_routes
from server.http.routes import Website
from server.http.service_routes import service_routes
from server.http.static import as_served, read_files
from server.listener import ConnectionCounts, Listener, PortLimits
from server.observability.exporter import Exporter
from server.observability.health import Health
from server.observability.parts import Parts
from server.observability.probes import Probes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.settings import Settings
    from runtime.turns import Turns
    from server.app.accounts import AccountParts
    from server.app.desk import Desk
    from server.app.game import Game
    from server.app.storage import Storage
    from server.http.static import StaticFile
    from server.observability.tracing import Tracing

_WEB: Final = Path(__file__).parents[1] / "web"
_CLIENT_LIBRARY: Final = "clients/js/lib"
"""The page imports the client library by this path, in the repository and on the wire."""
_PICTURE: Final = "/share.png"
_ALL_OFFERS: Final = b'content="guests mail"'


@dataclass(frozen=True, slots=True)
class Operations:
    """The port, the metrics of the process, and the desk where this process serves it."""

    listener: Listener
    exporter: Exporter
    desk: Desk | None


def page_files(public_url: str = "", *, guests: bool = True, mail: bool = False) -> Mapping[str, StaticFile]:
    """Read the page, and the client library that it imports, by their paths on the wire.

    `public_url` is the page's address, without a slash at its end. With it the page names its picture for
    sharing by a whole address: those who show a link take no other. What the server offers, guests and mail
    for forgotten passwords, stands in the page: the entrance asks for nothing before it shows the way in.
    """
    page = read_files(_WEB)
    index = page["/"]
    address = f'content="{html.escape(public_url)}{_PICTURE}"'
    offers = " ".join(name for name, offered in {"guests": guests, "mail": mail}.items() if offered)
    body = index.body.replace(f'content="{_PICTURE}"'.encode(), address.encode())
    index = as_served(body.replace(_ALL_OFFERS, f'content="{offers}"'.encode()), index.content_type)
    library = read_files(_WEB.parent.parent / _CLIENT_LIBRARY, f"/{_CLIENT_LIBRARY}")
    return {**page, "/": index, "/index.html": index, **library}


def build_operations(
    settings: Settings,
    storage: Storage,
    accounts: AccountParts,
    game: Game,
    turns: Turns,
    *,
    tracing: Tracing,
    is_draining: Callable[[], bool],
) -> Operations:
    """Build the port, which does not listen yet, and what reads the other parts' figures."""
    counts = ConnectionCounts()
    health = Health(
        storage.lanes,
        storage.store.lanes,
        storage.catalogues,
        storage.flusher,
        is_draining,
        asyncio.get_running_loop().time,
        LOG_OUTPUT,
    )
    parts = Parts(
        metrics=game.metrics,
        counts=counts,
        dispatch=game.dispatch,
        hub=game.hub,
        hasher=accounts.hasher,
        outbox=accounts.outbox,
        ticker=game.ticker,
        sessions=storage.sessions,
        pool=storage.pool,
        loader=storage.loader,
        health=health,
    )
    probes = Probes(storage.lanes, storage.store.lanes, storage.pool)
    exporter = Exporter(parts, probes, settings.worker_index or 0, settings.workers, settings.worker_folder)
    features = Features(settings.guests, settings.guest_ttl_days, mail=accounts.outbox is not None)
    routes = (
        *account_routes(accounts.service),
        *people_routes(accounts.guests, accounts.recovery, accounts.exports, features),
        *service_routes(health.readiness, exporter.render),
    )
    website = Website(
        tracing.routes(routes),
        page_files(settings.public_url, guests=features.guests, mail=features.mail),
        Origins(settings.allowed_origins),
        game.metrics.count_http,
    )
    limits = PortLimits(settings.max_connections, settings.max_connections_per_ip, settings.trusted_proxies)
    listener = Listener(website, game.gateway, limits, turns=turns, counts=counts)
    desk = build_desk(settings, storage, turns, exporter.render, health.readiness)
    return Operations(listener, exporter, desk)
