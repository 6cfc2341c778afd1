"""The page's own code: its weight, its pieces, and its rules beside the model's."""

from __future__ import annotations

import html
import itertools
import json
import math
import random
import re
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

import pytest

from game.catalogue import BoostType, Catalogue, UpgradeType
from game.errors import Refusal
from game.live_session import LiveSession
from game.rates import need_of, price_of, rates_of
from game.rules import cook, sell, session_reset, upgrade_buy
from game.session import Session, UserId
from scripts.simulate.advice import advise
from seeds.files import read_catalogue
from server.app.operations import page_files
from tests.support.game_catalogue import CATALOGUE, SANDWICH
from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from game.catalogue import Upgrade

WEB: Final = REPOSITORY / "server" / "web"
LIBRARY: Final = REPOSITORY / "clients" / "js" / "lib"
WEB_TESTS: Final = REPOSITORY / "tests" / "web"
NODE: Final = shutil.which("node") or ""
# The page's code runs in browsers; Node is a quick place to try its pure modules.
needs_node = pytest.mark.skipif(not NODE, reason="Node.js is not installed")
NOW_MS: Final = 1_700_000_000_000


def test_it_weighs_under_120_kb_with_its_pictures() -> None:
    """All that a first visit loads, as it is served to a browser that takes gzip.

    The picture for sharing is not among it: only programs that show a link load it.
    """
    files = {path: file for path, file in page_files().items() if path not in ("/", "/share.png")}
    assert 20_000 < sum(len(file.packed or file.body) for file in files.values()) < 120_000


def test_a_shared_link_shows_a_picture() -> None:
    """The page names it whole where the server knows its own address; its size is the one named."""
    for public_url in ("", "https://play.example", "https://play.example/a&b"):
        files = page_files(public_url)
        for path in ("/", "/index.html"):
            found = re.findall(
                r'property="og:image(?:|:width|:height)" content="(.*?)"', files[path].body.decode()
            )
            assert found == [f"{html.escape(public_url)}/share.png", "1200", "630"]
        picture = files["/share.png"]
        assert picture.content_type == "image/png"
        assert struct.unpack(">II", picture.body[16:24]) == (1200, 630)


def test_what_search_engines_and_small_screens_ask_for_is_there() -> None:
    """A doctype, an encoding, a title, a description, a language, and a page that zooms."""
    page = (WEB / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    assert 'charset="utf-8"' in page[:1024]
    assert re.search(r'<html lang="\w+"', page)
    assert re.search(r"<title>.+</title>", page)
    assert re.search(r'name="description" content=".{50,}"', page)
    viewport = re.search(r'name="viewport" content="(.*?)"', page)
    assert viewport is not None
    assert "width=device-width" in viewport[1]
    assert "scal" not in viewport[1].replace("initial-scale=1", "")
    assert "noindex" not in page


def test_nothing_in_it_is_refused_by_its_content_security_policy() -> None:
    """No inline script or style, no other host, no event attribute."""
    page = (WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?:", page) == []
    for path in (*WEB.iterdir(), *LIBRARY.iterdir()):
        hosts = set(re.findall(r"https?://([\w.]+)", path.read_text(errors="ignore")))
        assert hosts <= {"www.w3.org"}, path.name


def test_every_module_that_is_imported_is_served() -> None:
    """The client library too, whose path the page writes as it is in the repository."""
    files = page_files()
    imported = {
        urljoin(f"http://server{path}", name)
        for path, file in files.items()
        if path.endswith(".js")
        for name in re.findall(r'from "(.*?)"', file.body.decode())
    }
    assert "http://server/clients/js/lib/click-and-cook.js" in imported
    assert imported <= {f"http://server{path}" for path in files}


def test_every_module_of_the_start_is_asked_for_at_once() -> None:
    """The page's head names each module that `app.js` imports, and no other: none waits for an importer."""
    files = page_files()
    found, unread = set[str](), {"/app.js"}
    while unread:
        path = unread.pop()
        names = re.findall(r'from "(.*?)"', files[path].body.decode())
        imported = {urljoin(f"http://server{path}", name).removeprefix("http://server") for name in names}
        unread |= imported - found
        found |= imported
    head = (WEB / "index.html").read_text()
    assert sorted(found) == re.findall(r'<link rel="modulepreload" href="(.*?)" fetchpriority="low">', head)


def test_the_first_picture_waits_for_little() -> None:
    """Before a browser draws the entrance it loads the page, one style and one small script, 10 KB packed.

    All else comes after them, by its priority: what a slow network brings first is what is seen first.
    """
    files = page_files()
    head, _, body = files["/"].body.decode().partition("</head>")
    waited = re.findall(r'<script src="(.*?)">|<link rel="stylesheet" href="(.*?)">', head)
    assert waited == [("/begin.js", ""), ("", "/style.css")]
    first = [files[path] for path in ("/", *filter(None, itertools.chain(*waited)))]
    assert sum(len(file.packed or file.body) for file in first) < 10_000
    rest = re.findall(r'<(?:script type="module"|link rel="(?:module)?preload").*?>', head)
    assert len(rest) > 20
    assert [tag for tag in rest if 'fetchpriority="low"' not in tag] == []
    assert re.findall(r"<script|<link|<img", body) == []


def test_the_way_in_stands_in_the_page_in_the_words_of_its_texts() -> None:
    """What is drawn before the modules come says, in both languages, what they put there."""
    texts = (WEB / "texts.js").read_text()
    pairs = re.findall(
        r'<span lang="en">(.*?)</span><span lang="ru">(.*?)</span>', (WEB / "index.html").read_text()
    )
    keys = ("welcome", "tagline", "cookNow", "guestNote", "haveAccount", "noAccount")
    found = [re.search(rf'\t{key}: \["(.*?)", "(.*?)"\]', texts) for key in keys]
    assert [match and match.groups() for match in found] == pairs


def test_what_the_server_offers_stands_in_the_page() -> None:
    """Guests, and mail for forgotten passwords, each where it is on."""
    for guests, mail, said in ((True, True, "guests mail"), (True, False, "guests"), (False, False, "")):
        page = page_files(guests=guests, mail=mail)["/"].body.decode()
        assert re.findall(r'name="offers" content="(.*?)"', page) == [said]


def test_every_upgrade_and_every_place_is_drawn() -> None:
    """One icon for each icon_name of the seeds, and the five places, behind the cook and in front."""
    icons = json.loads((REPOSITORY / "seeds" / "icons.json").read_text())
    lines = (WEB / "drawings.txt").read_text().splitlines()
    drawn = {line.split("|")[0] for line in lines if not line.startswith("#")}
    wanted = {f"i-{name}" for names in icons.values() for name in names}
    wanted |= {f"{side}-{place}" for side in ("place", "front") for place in range(5)}
    assert wanted - drawn == set()


def test_every_text_is_there_in_both_languages() -> None:
    """Keys that the page and the modules name have texts, and each text has two languages."""
    texts = (WEB / "texts.js").read_text()
    known = re.findall(r'^\t(\w+): \[\s*"[^"]+",\s*"[^"]+",?\s*\]', texts, re.MULTILINE)
    assert len(known) == len(re.findall(r"^\t\w+: \[", texts, re.MULTILINE))
    named = set(re.findall(r'data-(?:t|label)="(\w+)"', (WEB / "index.html").read_text()))
    for path in WEB.glob("*.js"):
        named |= set(re.findall(r'(?:say\(|key: )"(\w+)"', path.read_text(errors="ignore")))
    assert named - set(known) == set()


def _game(session: Session, upgrades: Iterable[Upgrade], catalogue: Catalogue = CATALOGUE) -> dict[str, Any]:
    """Write a session as the page knows it."""
    return {
        "money": session.money,
        "dishes": session.dishes,
        "rank": session.rank,
        "xp": session.xp / 100,
        "need": need_of(session.rank, catalogue) or None,
        "stars": session.stars / 10_000,
        "boost": session.boost / 10,
        "accumulated": session.accumulated / 10_000,
        "upgrades": [
            {
                "id": one.id,
                "upgrade_type": one.upgrade_type,
                "price": one.price,
                "price_factor": one.price_factor,
                "access_level": one.access_level,
                "boost": {"boost_type": one.boost.boost_type, "value": one.boost.value_hundredths / 100},
                "times_bought": session.bought.get(one.id, 0),
            }
            for one in upgrades
        ],
    }


def _session(chance: random.Random) -> Session:
    """Make a session of an ordinary player: what is bought keeps every amount below 2^53."""
    bought = {int(one.id): chance.randint(1, 9) for one in CATALOGUE.upgrades[:13] if chance.random() < 0.6}
    bought = {one: 1 if one in (1, 2) else times for one, times in bought.items()}
    return Session(
        UserId(1),
        version=1,
        accrued_at_ms=NOW_MS,
        money=float(chance.choice((0, 3, 60, 10**6))),
        dishes=float(chance.choice((0, 1, 7, 5000))),
        rank=chance.choice((0, 1, 2, 30, 100)),
        xp=float(chance.randint(0, 90_000)),
        stars=float(chance.randint(0, 99_999)),
        accumulated=float(chance.randint(10_000, 99_999)),
        boost=float(chance.randint(0, 60)),
        bought=bought,
    )


def _ask_model(live: LiveSession, request_type: str, upgrade_id: int, count: int) -> dict[str, Any]:
    prices = [price_of(one, live.session.bought.get(one.id, 0)) for one in CATALOGUE.upgrades[:13]]
    try:
        if request_type == "upgrade_buy":
            upgrade_buy(live, upgrade_id, NOW_MS * 1000, 0, count=count)
        else:
            {"cook": cook, "sell": sell}[request_type](live, count, NOW_MS * 1000)
        session = live.session
        after = {"refused": False, "money": session.money, "dishes": session.dishes, "xp": session.xp / 100}
    except Refusal:
        after = {"refused": True}
    reset = session_reset(live, NOW_MS * 1000, 0)
    return {**after, "prices": prices, "reset": {"stars": reset.stars / 10_000, "boost": reset.boost / 10}}


@needs_node
def test_its_modules_do_what_their_own_tests_say() -> None:
    """The client library, numbers, drawings."""
    run = [NODE, "--test", *map(str, sorted(WEB_TESTS.glob("*.test.js")))]
    done = subprocess.run(
        run, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]


@needs_node
def test_its_rules_are_the_rules_of_the_model() -> None:
    """What a click, a purchase and a reset bring, and every price, for 500 sessions."""
    chance = random.Random(7)
    asked, expected = [], []
    for _ in range(500):
        live = LiveSession.of(_session(chance), CATALOGUE)
        request_type = chance.choice(("cook", "sell", "upgrade_buy"))
        upgrade_id = chance.randint(1, 13)
        count = chance.choice((1, 1, 2, 10, 1000))
        data = {"id": upgrade_id, "count": count}
        request = {"game": _game(live.session, CATALOGUE.upgrades[:13]), "type": request_type, "data": data}
        asked.append(json.dumps(request))
        expected.append(_ask_model(live, request_type, upgrade_id, count))
    run = [NODE, str(WEB_TESTS / "rules_by_line.js")]
    answers = subprocess.run(
        run, input="\n".join(asked), capture_output=True, text=True, timeout=LIMIT_S, check=True
    ).stdout
    assert [json.loads(line) for line in answers.splitlines()] == expected


def _kitchen(chance: random.Random, catalogue: Catalogue) -> Session:
    """Make a session of any rank with any money and stock, and with what it bought of a catalogue."""
    rank = chance.choice((*range(61), catalogue.last_rank))
    most = {boost_type: chance.choice((0, 2, 8, 40)) for boost_type in BoostType}
    bought = dict.fromkeys((int(one.id) for one in catalogue.upgrades), 0)
    for one in catalogue.upgrades:
        if one.access_level <= rank:
            times = chance.randint(0, most[one.boost.boost_type])
            bought[int(one.id)] = min(times, 1) if one.upgrade_type is UpgradeType.DISH else times
    if chance.random() < 0.9:
        bought[SANDWICH] = 1
    some = chance.choice(catalogue.upgrades)
    return Session(
        UserId(1),
        version=1,
        accrued_at_ms=NOW_MS,
        money=math.floor(price_of(some, bought[some.id]) * chance.choice((0, 0.1, 1, 100))),
        dishes=math.floor(chance.choice((0, 10 ** chance.uniform(0, 9)))),
        rank=rank,
        stars=float(chance.choice((0, 0, 200_001, 9_876_543))),
        boost=float(chance.choice((0, 0, 11, 40))),
        bought=bought,
    )


def _finite(seconds: float) -> float | None:
    """Write a time as JSON has it: there is no infinity."""
    return seconds if seconds < math.inf else None


@needs_node
def test_its_advice_is_that_of_the_simulator() -> None:
    """What to buy next, the wait for its price, the time in all and for its xp, for 600 kitchens and paces.

    Each kitchen has its own choice of the release's upgrades: among all of them few boost types come first.
    """
    chance = random.Random(11)
    release = read_catalogue("en")
    asked, expected, advised, waits, reasons = [], [], set(), set(), set()
    for _ in range(600):
        kinds = {boost_type for boost_type in BoostType if chance.random() < 0.7}
        shelves = [
            one
            for one in release.upgrades
            if one.id == SANDWICH or (one.boost.boost_type in kinds and chance.random() < 0.5)
        ]
        catalogue = Catalogue(1, tuple(shelves), release.level_xp)
        session = _kitchen(chance, catalogue)
        pace = chance.choice((0, 0.5, 1, 5, 20))
        asked.append(json.dumps({"game": _game(session, catalogue.upgrades, catalogue), "pace": pace}))
        offer = advise(session, rates_of(session, catalogue), catalogue, pace)
        expected.append(offer and [offer.upgrade.id, offer.wait_s, _finite(offer.seconds), offer.xp_s])
        if offer is not None:
            reasons.add(offer.xp_s > 0)
            advised.add(offer.upgrade.boost.boost_type)
            waits.add(offer.wait_s > 0)
    assert len(advised) > 6
    assert waits == reasons == {False, True}
    run = [NODE, str(WEB_TESTS / "advice_by_line.js")]
    answers = subprocess.run(
        run, input="\n".join(asked), capture_output=True, text=True, timeout=LIMIT_S, check=True
    ).stdout
    # JavaScript writes a large double as its shortest whole number, which Python would read as another one.
    assert [json.loads(line, parse_int=float) for line in answers.splitlines()] == expected
