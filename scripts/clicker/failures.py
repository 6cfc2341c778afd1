"""What can go wrong for a client, one class for each thing that its owner would do differently."""

from __future__ import annotations

from typing import Any


class ClickerError(Exception):
    """Anything that the client cannot settle by itself."""


class UnreachableError(ClickerError):
    """Nobody answers at the address of the server: the text says why."""


class RefusedError(ClickerError):
    """The game answered a request with an error that stays one: nothing was changed.

    `code` is the contract's (`not_enough_money`, …), `data` the whole answer.
    """

    def __init__(self, code: str, data: dict[str, Any]) -> None:
        super().__init__(str(data.get("message", code)))
        self.code = code
        self.data = data


class LoggedOutError(ClickerError):
    """Neither tokens nor e-mail and password are good any more: the player must log in again."""


class AccountRefusedError(ClickerError):
    """The server will not open the account: the text says which value is not acceptable and why."""


class MisunderstoodError(ClickerError):
    """Server and client do not speak the same language: a fault in one of the programs, so don't retry."""


class ClientClosedError(ClickerError):
    """The client was closed before the answer came: the request may have been applied, or may not."""
