"""A client of Click & Cook: every request is answered in the end and counts once."""

from .accounts import Account
from .client import Answer, Client, connect
from .closing import Options
from .core import Core, Status
from .errors import (
    AccountRefused,
    ClickCookError,
    Ended,
    InvalidMessage,
    LoggedOut,
    NameInvalid,
    NameTaken,
    NoDish,
    NoDishes,
    NotEnoughMoney,
    NotEnoughPrestige,
    NotSent,
    Refused,
    Suspended,
    UnknownRequest,
    Unreachable,
    UpgradeLocked,
    UpgradeNotFound,
)
from .events import Changed, Disconnected, Event, Heard, StatusChanged
from .outputs import Close, Connect, Drop, End, Joined, Lost, Push, Refuse, Send, Settle, Unsent
from .state import Boost, Game, Upgrade
from .tokens import FileStore, MemoryStore, Tokens, TokenStore
from .waiting import Kept, KeptRequest

__all__ = [
    "Account",
    "AccountRefused",
    "Answer",
    "Boost",
    "Changed",
    "ClickCookError",
    "Client",
    "Close",
    "Connect",
    "Core",
    "Disconnected",
    "Drop",
    "End",
    "Ended",
    "Event",
    "FileStore",
    "Game",
    "Heard",
    "InvalidMessage",
    "Joined",
    "Kept",
    "KeptRequest",
    "LoggedOut",
    "Lost",
    "MemoryStore",
    "NameInvalid",
    "NameTaken",
    "NoDish",
    "NoDishes",
    "NotEnoughMoney",
    "NotEnoughPrestige",
    "NotSent",
    "Options",
    "Push",
    "Refuse",
    "Refused",
    "Send",
    "Settle",
    "Status",
    "StatusChanged",
    "Suspended",
    "TokenStore",
    "Tokens",
    "UnknownRequest",
    "Unreachable",
    "Unsent",
    "Upgrade",
    "UpgradeLocked",
    "UpgradeNotFound",
    "connect",
]
