"""The file of certificates that SMTP_URL may name, tried before anything is started."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from runtime.mail_settings import parse_smtp_url
from runtime.settings import StartupError

if TYPE_CHECKING:
    from runtime.settings import Settings


def check_cafile(settings: Settings) -> None:
    """Return where SMTP_URL names no `cafile`, or one that can be used; raises StartupError otherwise.

    Only processes that send mail need the file: operators' commands read the same settings without it.
    """
    cafile = parse_smtp_url(settings.smtp_url.reveal()).cafile if settings.smtp_url else None
    if cafile is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile)
    except ssl.SSLError as error:
        raise StartupError(
            "SMTP_URL: the file that cafile names holds no certificate in PEM form: correct its path"
        ) from error
    except OSError as error:
        raise StartupError(
            f"SMTP_URL: the file that cafile names cannot be read ({error.strerror}): "
            "correct its path or mode"
        ) from error
