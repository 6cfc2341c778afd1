"""Why a connection to Redis failed, in plain words that show no address, and whether waiting can help."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final

from redis.exceptions import ClusterDownError, NoPermissionError

from persistence.errors import LiveUnavailable
from persistence.live.addresses import CONNECT_TIMEOUT_S
from runtime.connection_urls import RedisKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.connection_urls import RedisUrl
    from runtime.url_parts import Node

_PROBE_TIMEOUT_S: Final = 1.0

_PROTECTED: Final = (
    "Redis is in protected mode: it has no password, and lets in its own machine alone; set one there "
    "(requirepass) and here, as in redis://:password@host:6379/0"
)
_NO_TLS: Final = (
    "Redis speaks no TLS at this port: begin with redis:// in place of rediss://, or give its TLS port"
)
_MISSING_CREDENTIALS: Final = (
    "Redis asks for a password and the address has none: put it before the host, "
    "as in redis://:password@host:6379/0"
)
_WRONG_CREDENTIALS: Final = (
    "Redis knows no such user with this password: correct user:password before the host "
    "(:password alone for the default user)"
)
_NO_CERTIFICATE: Final = (
    "Redis asks for a client certificate: name the files of one with ssl_certfile and ssl_keyfile"
)
NODE_OF_A_CLUSTER: Final = "this Redis is a node of a cluster: begin with redis+cluster://"
_NO_KEYS: Final = "its user has no right to the game's keys (ACL): grant it ~*, or ~prefix* with REDIS_PREFIX"
_NO_CHANNELS: Final = (
    "its user has no right to the game's channels (ACL): grant it &user:*, or &prefix* with REDIS_PREFIX"
)
# What is found in an answer, and what is to be done; the first that is found holds.
_REFUSALS: Final = (
    ("DENIED", _PROTECTED),
    (
        "HELLO must be called with the client already authenticated",
        _MISSING_CREDENTIALS,
    ),
    (
        "Authentication required",
        _MISSING_CREDENTIALS,
    ),
    (
        "invalid username-password pair",
        _WRONG_CREDENTIALS,
    ),
    ("DB index is out of range", "Redis has no database of this number: give a lower one, as in /0"),
    (
        "SELECT is not allowed in cluster mode",
        "a cluster has database 0 alone: leave out the number after the hosts",
    ),
    (
        "cluster support disabled",
        "this Redis is no node of a cluster: begin with redis:// in place of redis+cluster://",
    ),
    ("unknown command", "this Redis is older than 7.0, or commands were taken from it: give it 7.0 or newer"),
    ("No permissions to access a key", _NO_KEYS),
    ("keys used as arguments", _NO_KEYS),
    ("No permissions to access a channel", _NO_CHANNELS),
    ("channels used as arguments", _NO_CHANNELS),
)
_WAITS: Final = (
    ("loading the dataset", "it is loading its data"),
    ("max number of clients", "it has its maximum of clients (maxclients)"),
    ("No master found", "the Sentinels answer, and know no master of this service"),
)
_NO_WAY_THERE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_CERTIFICATE_EXPIRED: Final = 10
_CERTIFICATE_OF_OTHERS: Final = frozenset({62, 64})


class LiveRefused(LiveUnavailable):
    """Redis cannot be used as it is named or set up: waiting does not help, an operator must act.

    The text is one line that says what is wrong and what to do, without the address.
    """


async def explained(error: BaseException, address: RedisUrl, node: Node | None) -> LiveUnavailable:
    """Put an error into words: LiveRefused where waiting is of no use."""
    if answered := _of_answer(error, address):
        return answered
    for each in _chain(error):
        explained = _of_network(each)
        if explained is not None:
            return explained
    if node is not None and (other := await _other_way(address, node)):
        return LiveRefused(other)
    return _of_silence(error)


def _of_answer(error: BaseException, address: RedisUrl) -> LiveUnavailable | None:
    text = str(error)
    for found, words in _WAITS:
        if found in text:
            return LiveUnavailable(words)
    for found, words in _REFUSALS:
        if found in text:
            return LiveRefused(words)
    if denied := re.search(r"no permissions to run the '(?P<command>[a-z|_-]+)' command", text):
        command = denied["command"].upper().replace("|", " ")
        return LiveRefused(
            f"its user has no right to the command {command} (ACL): grant it +{denied['command']}, or +@all"
        )
    if isinstance(error, ClusterDownError):
        of_cluster = address.kind is RedisKind.CLUSTER
        return LiveUnavailable("the cluster is down") if of_cluster else LiveRefused(NODE_OF_A_CLUSTER)
    if isinstance(error, NoPermissionError):
        return LiveRefused("its user lacks a right that the game needs (ACL): grant it ~* &user:* +@all")
    return None


def _of_network(error: BaseException) -> LiveUnavailable | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return LiveRefused(_of_certificate(error))
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return LiveRefused(_NO_CERTIFICATE)
        if reason in ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB", "KEY_VALUES_MISMATCH"):
            return LiveRefused(
                "the files that ssl_ca_certs, ssl_certfile or ssl_keyfile name hold no fitting certificate "
                "or key in PEM form: correct their paths"
            )
    if isinstance(error, socket.gaierror):
        return LiveUnavailable("its host name is not known (DNS)")
    if isinstance(error, ConnectionRefusedError):
        return LiveUnavailable("nothing listens there (connection refused)")
    if isinstance(error, FileNotFoundError):
        return LiveUnavailable("there is no such socket")
    if isinstance(error, OSError) and error.errno in _NO_WAY_THERE:
        return LiveUnavailable("no network leads there from this machine")
    if isinstance(error, PermissionError):
        return LiveRefused("its socket may not be opened: correct its owner or mode")
    return None


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _CERTIFICATE_EXPIRED:
        return "the certificate of Redis has expired: renew it"
    if error.verify_code in _CERTIFICATE_OF_OTHERS:
        return "the certificate of Redis is for another host name: use that name, or renew the certificate"
    return (
        "the certificate of Redis is not trusted: name the file of its authority, as in "
        "?ssl_ca_certs=/path/of/ca.pem"
    )


def _of_silence(error: BaseException) -> LiveUnavailable:
    if any(isinstance(each, TimeoutError) for each in _chain(error)):
        return LiveUnavailable(f"no answer within {CONNECT_TIMEOUT_S:g} s")
    if "Protocol error" in str(error) or "WRONG_VERSION_NUMBER" in str(error):
        return LiveRefused("what answers there is not Redis: correct host and port")
    if any(isinstance(each, ConnectionError) for each in _chain(error)) or "closed by server" in str(error):
        return LiveUnavailable("it closed the connection")
    return LiveUnavailable(type(error).__name__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def _other_way(address: RedisUrl, node: Node) -> str | None:
    """Try the port without TLS where it was tried with it, and with it where without; say what was found."""
    if address.kind is RedisKind.SOCKET:
        return None
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            first = await _first_words(node)
            if first.startswith(b"-DENIED"):
                return _PROTECTED
            if address.tls and first.startswith((b"+", b"-")):
                return _NO_TLS
            if address.tls and await _asks_for_certificate(node):
                return _NO_CERTIFICATE
            if not address.tls and await _speaks_tls(node):
                return "Redis speaks TLS at this port: begin with rediss:// in place of redis://"
    except (OSError, TimeoutError):
        pass
    return None


async def _first_words(node: Node) -> bytes:
    reader, writer = await asyncio.open_connection(*node)
    try:
        writer.write(b"PING\r\n")
        return await reader.read(64)
    except ConnectionError:
        return b""
    finally:
        await _aborted(writer)


async def _speaks_tls(node: Node) -> bool:
    try:
        _, writer = await asyncio.open_connection(*node, ssl=_trusting_all())
    except ssl.SSLError:
        return False
    await _aborted(writer)
    return True


async def _asks_for_certificate(node: Node) -> bool:
    """Listen for the alert with which a server refuses a client without a certificate.

    Who writes meanwhile may be reset before reading it.
    """
    reader, writer = await asyncio.open_connection(*node, ssl=_trusting_all())
    try:
        await reader.read(1)
    except ssl.SSLError as error:
        return "CERTIFICATE_REQUIRED" in (error.reason or "")
    finally:
        await _aborted(writer)
    return False


def _trusting_all() -> ssl.SSLContext:
    """Return a context that accepts any server's certificate: nothing is sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _aborted(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await asyncio.sleep(0)  # the loop's turn in which the socket is closed
