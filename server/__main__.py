"""Start the server: settings, embedded servers, workers. Exits with a reason.

Codes: 0 after a drain, 1 where the server was lost, 2 where it could not start, 130 where it was stopped
before it served.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import structlog

from runtime.direct_loop import new_event_loop
from runtime.embedded import embedded_servers
from runtime.exit_codes import INTERRUPTED, REFUSED, UNFINISHED
from runtime.log_output import LOG_OUTPUT
from runtime.logs import configure_logs
from runtime.settings import StartupError, read_settings
from runtime.stopping import Interrupted, run_to_end
from server.mail.certificates import check_cafile
from server.ports import held_port
from server.workers import WorkersLostError, bound_to_supervisor, supervise

if TYPE_CHECKING:
    from types import FrameType

    from runtime.settings import Settings
    from server.ports import BoundPort


_log = structlog.get_logger(__name__)


def main() -> int:
    """Run the server as the environment says, and return the process' exit code."""
    argparse.ArgumentParser(
        prog="python -m server",
        description="The realtime server of Click & Cook. It is configured by environment variables or .env; "
        "see .env.example.",
    ).parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # as under nohup, where it is ignored
        signal.signal(signal.SIGHUP, _hang_up)
    try:
        settings = read_settings()
        configure_logs(settings)
        return _run_worker(settings) if settings.worker_index is not None else _run(settings)
    except StartupError as error:
        return _refuse(str(error), REFUSED)
    except WorkersLostError as error:
        return _refuse(str(error), UNFINISHED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001  # the top of the process
        _log.exception("server_failed")
        return UNFINISHED


def _run(settings: Settings) -> int:
    for warning in settings.warnings():
        _log.warning("setting_suspicious", reason=warning)
    check_cafile(settings)
    lost = threading.Event()

    def on_loss() -> None:
        lost.set()
        os.kill(os.getpid(), signal.SIGTERM)

    with held_port(settings) as port, embedded_servers(settings, on_loss=on_loss) as complete:
        try:
            served = _serve(complete, port)
        finally:
            # The loop has put the default back, which would end us before the embedded servers are stopped.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
    if lost.is_set():
        return 1
    return 0 if served else INTERRUPTED


def _serve(settings: Settings, port: BoundPort) -> bool:
    if settings.workers == 1:
        from server.app import serve  # noqa: PLC0415  # a supervisor does without all that it loads

        return run_to_end(serve(settings, port), loop_factory=new_event_loop)

    def ready() -> None:
        _log.info("workers_ready", workers=settings.workers, address=port.url, listens_on=port.addresses)

    return run_to_end(supervise(replace(settings, port=port.number), ready=ready))


def _run_worker(settings: Settings) -> int:
    from server.app import serve  # noqa: PLC0415  # as above

    async def work() -> bool:
        with bound_to_supervisor(asyncio.get_running_loop()) as say_ready:
            return await serve(settings, ready=say_ready)

    return 0 if run_to_end(work(), loop_factory=new_event_loop) else INTERRUPTED


def _refuse(reason: str, code: int) -> int:
    LOG_OUTPUT.write(f"click-and-cook: {reason}\n")  # for people, whatever LOG_FORMAT says
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End in order before anything serves: started parts are stopped on the way out."""
    raise Interrupted


def _hang_up(_number: int, _frame: FrameType | None) -> None:
    """Drain when the terminal closes."""
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
