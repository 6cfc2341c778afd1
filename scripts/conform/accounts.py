"""The rows of the contract over HTTP."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from scripts.conform.world import PASSWORD, Row, holds, same

if TYPE_CHECKING:
    from scripts.conform.world import World

_ACCESS_S: Final = 900
_REFRESH_S: Final = 7 * 86_400
_MOST_BODY_BYTES: Final = 16_384


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def _register(world: World) -> None:
    pair = await world.register()
    for token, kind, life_s in ((pair.access, "access", _ACCESS_S), (pair.refresh, "refresh", _REFRESH_S)):
        claims = _claims(token)
        holds({"id", "sub", "iat", "exp", "jti", "typ", "fam"} <= claims.keys(), f"claims: {sorted(claims)}")
        holds(isinstance(claims["id"], str) and claims["id"] == claims["sub"], "id and sub are one text")
        same(kind, claims["typ"], "typ")
        same(life_s, claims["exp"] - claims["iat"], f"seconds that the {kind} token lives")


async def _bad_values(world: World) -> None:
    for body in ({"email": world.new_email()}, {"email": "", "password": PASSWORD}):
        same("not enough data", await world.refusal((400, 2), "/reg", body), "the message")
    for email, password in (
        ("nobody", PASSWORD),
        (world.new_email(), "short"),
        (world.new_email(), "x" * 73),
    ):
        await world.refusal((400, 5), "/reg", {"email": email, "password": password})


async def _taken(world: World) -> None:
    email = world.new_email()
    await world.register(email)
    body = {"email": email.upper(), "password": PASSWORD}
    same("this user already exist", await world.refusal((409, 3), "/reg", body), "the message")


async def _log_in(world: World) -> None:
    email = world.new_email()
    registered = await world.register(email)
    again = await world.pair("/auth", {"email": email, "password": PASSWORD})
    same(_claims(registered.access)["id"], _claims(again.access)["id"], "the id of the same player")
    for wrong in ({"email": email, "password": "x" * 12}, {"email": world.new_email(), "password": PASSWORD}):
        same("invalid user info", await world.refusal((401, 1), "/auth", wrong), "the message")
    await world.refusal((400, 2), "/auth", {"email": email})


async def _forms(world: World) -> None:
    for form in ("data", "files"):
        fields = {"email": world.new_email(), "password": PASSWORD}
        sent: Any = fields if form == "data" else {name: (None, text) for name, text in fields.items()}
        answer = await world.post("/reg", **{form: sent})
        same(
            200, answer.status_code, f"the status of a {'urlencoded' if form == 'data' else 'multipart'} body"
        )


async def _refresh(world: World) -> None:
    pair = await world.register()
    successor = await world.pair("/refresh", None, pair.refresh)
    holds(successor.refresh != pair.refresh, "a refresh token is single-use")
    same(
        successor, await world.pair("/refresh", None, pair.refresh), "the successor, asked for at once again"
    )
    for headers, message in (
        ({}, "missing token"),
        ({"Authorization": "Basic x"}, "invalid token format"),
        ({"Authorization": f"Bearer {pair.access}"}, "token invalid"),
        ({"Authorization": "Bearer x.y.z"}, "token invalid"),
    ):
        found = await world.refusal((401, 1), "/refresh", headers=headers)
        same(message, found, f"the message for {headers}")


async def _log_out(world: World) -> None:
    pair = await world.register()
    async with world.socket(pair.access) as player:
        await player.ask("session")
        same(200, (await world.post("/logout", None, pair.refresh)).status_code, "the status of /logout")
        same(4001, await player.close_code(), "the close code of its connection")
    await world.refusal((401, 1), "/refresh", None, pair.refresh)
    async with world.socket(pair.access) as player:
        await player.refused("token_invalid", "session")


async def _password(world: World) -> None:
    email = world.new_email()
    pair = await world.register(email)
    body = {"password": PASSWORD, "new_password": PASSWORD + " staple"}
    newer = await world.pair("/password", body, pair.access)
    await world.refusal((401, 1), "/refresh", None, pair.refresh)
    await world.refusal((401, 1), "/auth", {"email": email, "password": PASSWORD})
    await world.pair("/refresh", None, newer.refresh)


async def _guests(world: World) -> None:
    offered = (await world.post("/features", method="GET")).json()
    if not offered["guests"]:
        same(404, (await world.post("/guest")).status_code, "the status of /guest where there are no guests")
        return
    pair = await world.pair("/guest")
    async with world.cook(pair.access) as player:
        body = {"email": world.new_email(), "password": PASSWORD}
        newer = await world.pair("/claim", body, pair.access)
        same(_claims(pair.access)["id"], _claims(newer.access)["id"], "the id of the same player")
        same(4001, await player.close_code(), "the close code of a connection of before the claim")
    async with world.socket(newer.access) as player:
        same(1, (await player.ask("cook")).get("applied"), "applied, after the claim")
        session = (await player.ask("session"))["session"]
        same((body["email"], 1), (session["user_email"], session["dishes"]), "user_email and dishes")
    await world.refusal((409, 9), "/claim", {**body, "email": world.new_email()}, newer.access)


async def _delete(world: World) -> None:
    email = world.new_email()
    pair = await world.register(email)
    async with world.socket(pair.access) as player:
        await player.ask("session")
        answer = await world.post("/account", {"password": PASSWORD}, pair.access, "DELETE")
        same(200, answer.status_code, "the status of DELETE /account")
        same(4001, await player.close_code(), "the close code of its connection")
    await world.refusal((401, 1), "/auth", {"email": email, "password": PASSWORD})


async def _export(world: World) -> None:
    pair = await world.register()
    answer = await world.post("/export", bearer=pair.access, method="GET")
    same(200, answer.status_code, "the status of /export")
    holds("Content-Disposition" in answer.headers, "/export has a Content-Disposition")
    holds(isinstance(answer.json(), dict), "/export is an object")
    await world.refusal((401, 1), "/export", method="GET")


async def _odd_requests(world: World) -> None:
    await world.refusal((404, 8), "/no/such/path", method="GET")
    answer = await world.post("/reg", method="GET")
    same((405, True), (answer.status_code, "Allow" in answer.headers), "GET /reg: its status and an Allow")
    typed = {"Content-Type": "application/json"}
    await world.refusal((400, 8), "/reg", content=b"{", headers=typed)
    await world.refusal((413, 8), "/reg", content=b" " * (_MOST_BODY_BYTES + 1), headers=typed)
    await world.refusal((415, 8), "/reg", content=b"x", headers={"Content-Type": "text/plain"})


async def _origins(world: World) -> None:
    asked = {"Origin": world.url, "Access-Control-Request-Method": "POST"}
    answer = await world.post("/reg", method="OPTIONS", headers=asked)
    same(world.url, answer.headers.get("Access-Control-Allow-Origin"), "the page's own origin is allowed")
    same("true", answer.headers.get("Access-Control-Allow-Credentials"), "credentials are allowed")
    body = {"email": world.new_email(), "password": PASSWORD}
    await world.refusal((403, 8), "/reg", body, headers={"Origin": "https://elsewhere.example"})
    answer = await world.post("/auth", {}, headers={"Origin": world.url})
    same(world.url, answer.headers.get("Access-Control-Allow-Origin"), "an error carries the CORS headers")
    holds("origin" in answer.headers.get("Vary", "").lower(), "an error carries Vary: Origin")


async def _service(world: World) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/", "/features"):
        same(200, (await world.post(path, method="GET")).status_code, f"the status of {path}")
    holds((await world.post("/readyz", method="GET")).json()["status"] in ("ok", "degraded"), "/readyz")


ROWS: Final = tuple(
    Row("HTTP", says, play)
    for says, play in (
        ("/reg opens an account; tokens have their claims and lives", _register),
        ("/reg refuses what is missing and what is not acceptable", _bad_values),
        ("/reg refuses an address that is taken, in any case", _taken),
        ("/auth logs in, and says the same of a wrong password as of an unknown address", _log_in),
        ("bodies may be urlencoded or multipart", _forms),
        ("/refresh gives the next pair, the same one again, and names what is wrong", _refresh),
        ("/logout ends the family: its refresh, its access, its connections", _log_out),
        ("/password ends all older log-ins", _password),
        ("/guest and /claim: the same player plays on with the new pair", _guests),
        ("DELETE /account removes the player", _delete),
        ("/export gives what is kept", _export),
        ("unknown paths, wrong methods, broken, long and odd bodies have their answers", _odd_requests),
        ("origins: the page's own is allowed, a foreign one is refused", _origins),
        ("/healthz, /readyz, /metrics, /features and the page answer", _service),
    )
)
