"""The conversation of the wire contract, word by word, against a server as a process."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from scripts.describe.asyncapi import title
from tests.support.doc_examples import Block, blocks, difference, http_example, wire_schema
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.game_server import GameServer


@dataclass(slots=True)
class _Stage:
    """Where the conversation is: what placeholders stand for, and what came and was not yet looked at."""

    server: GameServer
    stack: AsyncExitStack
    words: dict[str, str]
    http: httpx.Response | None = None
    socket: ClientConnection | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def fill(self, text: str) -> str:
        """Put what the placeholders stand for in their places."""
        for placeholder, word in self.words.items():
            text = text.replace(placeholder, word)
        return text

    async def play(self, block: Block) -> str:
        """Do what a block says; return what was wrong with it, or ""."""
        match block.language, block.mark:
            case "http", "request":
                await asyncio.to_thread(self._send_http, block)
            case "http", "response":
                return self._compare_http(block)
            case "json", "request":
                await self._send_frame(block)
            case "json", "response" | "push":
                return await self._compare_frame(block)
            case "text", "close":
                return await self._compare_close(block)
            case _:
                pass
        return ""

    def _send_http(self, block: Block) -> None:
        example = http_example(block)
        method, path = example.first_line.split()
        headers = {name: self.fill(value) for name, value in example.headers.items()}
        body = self.fill(example.body)
        if "multipart" in headers.get("content-type", ""):
            body = body.replace("\n", "\r\n")
        self.http = httpx.request(
            method, f"{self.server.url}{path}", headers=headers, content=body.encode(), timeout=LIMIT_S
        )

    def _compare_http(self, block: Block) -> str:
        assert self.http is not None
        example = http_example(block)
        if str(self.http.status_code) != example.first_line:
            return f"status {self.http.status_code} is not {example.first_line}: {self.http.text}"
        if self.http.headers["content-type"] != example.headers["content-type"]:
            return f"{self.http.headers['content-type']} is not documented"
        found = self.http.json()
        for name, token in found.get("tokens", {}).items():
            self.words[f"<{name.replace('_', ' ')}>"] = token
        return difference(json.loads(example.body), found)

    async def _send_frame(self, block: Block) -> None:
        if self.socket is None:
            self.socket = await self.stack.enter_async_context(
                connect(self.server.websocket_url, open_timeout=LIMIT_S)
            )
        await self.socket.send(self.fill(block.text))

    async def _compare_frame(self, block: Block) -> str:
        expected = block.frame
        found = await self._receive(str(expected["request_id"]), str(expected["request_type"]))
        kind = str(found["request_type"])
        suffix = "Push" if block.mark == "push" else "Response"
        wire_schema("Error" if kind == "error" else f"{title(kind)}{suffix}").validate(found)
        return difference(expected, found)

    async def _receive(self, request_id: str, request_type: str) -> dict[str, Any]:
        """Return the answer to a request, or the push of a type, whatever comes before it."""
        assert self.socket is not None
        async with asyncio.timeout(LIMIT_S):
            while True:
                for found in self.waiting:
                    if found["request_id"] == request_id and (
                        request_id or found["request_type"] == request_type
                    ):
                        self.waiting.remove(found)
                        return found
                self.waiting.append(json.loads(await self.socket.recv()))

    async def _compare_close(self, block: Block) -> str:
        assert self.socket is not None
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    await self.socket.recv()
        except ConnectionClosed:
            code = str(self.socket.close_code)
        return "" if code == block.text else f"closed with {code}"


async def test_the_documented_conversation_takes_place(game: GameServer) -> None:
    """Every request of the document gets the answer that follows it there, in the documented shape."""
    async with AsyncExitStack() as stack:
        stage = _Stage(game, stack, {"<email>": "ada@example.com"})
        faults = []
        for block in blocks("protocol.md"):
            fault = await stage.play(block)
            if fault:
                faults.append(f"line {block.line}: {fault}")
        assert faults == []


def test_the_first_conversation_of_the_readme_works(game: GameServer, tmp_path: Path) -> None:
    """Word by word as a newcomer pastes it, but for the port and the interpreter's place."""
    first = [block for block in blocks("../README.md") if block.mark == "first"]
    script = "\n".join(block.text for block in first if block.language == "sh")
    script = script.replace("127.0.0.1:1323", game.url.removeprefix("http://"))
    done = subprocess.run(
        ["/bin/bash", "-euc", script.replace(".venv/bin/python", sys.executable).replace("ada@", "readme@")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.stderr == ""
    expected = next(block.text for block in first if block.language == "text")
    assert _without_chance(done.stdout.replace("readme@", "ada@")) == _without_chance(expected)


def _without_chance(text: str) -> list[str]:
    """Leave out what differs from one play to the next, and the end of a line that was cut."""
    same = re.sub(r'"(version|user_id)":\d+', r'"\1":0', text.strip())
    return [line.partition(',"money":')[0] if '"session"' in line else line for line in same.splitlines()]
