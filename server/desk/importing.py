"""An export read as what goes into a session again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from game.replacing import Progress
from persistence.recovery.export import FORMAT
from server.desk.errors import NotUnderstood

if TYPE_CHECKING:
    from game.session import UserId


def progress_in(export: object, *, only_of: UserId | None = None) -> Progress:
    """Read the newer session of an export, which may be anybody's or that of `only_of` alone.

    Raises NotUnderstood for what is no export, has no session, or is somebody else's.
    """
    if not isinstance(export, dict) or export.get("format") != FORMAT:
        raise NotUnderstood(f"this is no export of this game, of format {FORMAT}")
    account = export.get("account")
    if only_of is not None and (not isinstance(account, dict) or account.get("user_id") != only_of):
        raise NotUnderstood("this is an export of another account: `import` takes it, if that is meant")
    newest: dict[str, Any] = {}
    for part in (export.get("live"), export.get("saved")):
        if isinstance(part, dict) and "unreadable" not in part and _version(part) > _version(newest):
            newest = part
    if not newest:
        raise NotUnderstood("this export has no session that can be read")
    try:
        return Progress.read(newest)
    except ValueError as error:
        raise NotUnderstood(f"this export cannot be imported: {error}") from error


def progress_json(progress: Progress) -> str:
    """Write progress as the log keeps it: the same text for the same progress."""
    return orjson.dumps(progress.plain()).decode()


def progress_of(json: str) -> Progress:
    """Read what the log keeps; raises ValueError."""
    return Progress.read(orjson.loads(json))


def _version(session: dict[str, Any]) -> int:
    version = session.get("version")
    return version if isinstance(version, int) else 0
