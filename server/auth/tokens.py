"""Access and refresh tokens: HS256 JWTs, made and checked. Pure: the time comes from the caller.

A pair follows from its family, jti and time of issue alone, so the same rotation yields the same bytes again,
on whichever process it is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import jwt

from game.session import UserId

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCESS_TTL_S: Final = 15 * 60
REFRESH_TTL_S: Final = 7 * 24 * 3600

_ALGORITHM: Final = "HS256"
_CLAIMS: Final = ("id", "sub", "iat", "exp", "jti", "typ", "fam")
_MAX_USER_ID: Final = 2**53
_MAX_TOKEN_CHARACTERS: Final = 4096
_SEGMENT: Final = r"(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?"
_ONE_FORM: Final = re.compile(rf"{_SEGMENT}\.{_SEGMENT}\.{_SEGMENT}", re.ASCII)
"""Base64url without padding, in which bits that stand for nothing are 0: a decoder takes others as well."""


class TokenKind(StrEnum):
    """The claim `typ`: what a token may be used for."""

    ACCESS = "access"
    REFRESH = "refresh"


class TokenInvalid(Exception):  # noqa: N818 - named after its wire code
    """Not a token of ours, of another kind, or expired: answer `token invalid`; the client refreshes."""

    expired = False
    """Whether it was ours and good before its time was over."""


class TokenExpired(TokenInvalid):
    """A token of ours whose time is over."""

    expired = True


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a log-in or a refresh hands to the client."""

    access_token: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who an access token speaks for, its family, and the second from which on it counts no more."""

    user_id: UserId
    family: str
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """Who a refresh token speaks for, its family, its id, and the second from which on it counts no more."""

    user_id: UserId
    family: str
    jti: str
    expires_at_s: int


class TokenSigner:
    """Makes and checks tokens. Of the secrets of a kind the first signs and every one is accepted."""

    def __init__(self, access_secrets: Sequence[str], refresh_secrets: Sequence[str]) -> None:
        self._secrets = {
            TokenKind.ACCESS: tuple(secret.encode() for secret in access_secrets),
            TokenKind.REFRESH: tuple(secret.encode() for secret in refresh_secrets),
        }
        if not all(secrets and all(secrets) for secrets in self._secrets.values()):
            raise ValueError("both kinds of token need a secret")
        self._codec = jwt.PyJWT()

    def issue_pair(self, user_id: UserId, family: str, jti: str, issued_at_s: int) -> TokenPair:
        """Make the pair whose refresh token has the id `jti`. The same arguments give the same bytes."""
        claims = {"id": str(user_id), "sub": str(user_id), "iat": issued_at_s, "fam": family}
        access = {
            **claims,
            "exp": issued_at_s + ACCESS_TTL_S,
            "jti": f"{jti}.a",
            "typ": TokenKind.ACCESS.value,
        }
        refresh = {**claims, "exp": issued_at_s + REFRESH_TTL_S, "jti": jti, "typ": TokenKind.REFRESH.value}
        return TokenPair(self._sign(TokenKind.ACCESS, access), self._sign(TokenKind.REFRESH, refresh))

    def verify_access(self, token: str, now_s: float) -> AccessClaims:
        """Check an access token at `now_s` (Unix time); raises TokenInvalid.

        Whether its family was revoked is not known here.
        """
        claims = self._verify(TokenKind.ACCESS, token, now_s)
        return AccessClaims(UserId(int(claims["id"])), claims["fam"], claims["exp"])

    def verify_refresh(self, token: str, now_s: float) -> RefreshClaims:
        """Check a refresh token at `now_s` (Unix time); raises TokenInvalid.

        Whether it was used or its family revoked is not known here.
        """
        claims = self._verify(TokenKind.REFRESH, token, now_s)
        return RefreshClaims(UserId(int(claims["id"])), claims["fam"], claims["jti"], claims["exp"])

    def _sign(self, kind: TokenKind, claims: dict[str, Any]) -> str:
        newest, *_ = self._secrets[kind]
        return self._codec.encode(claims, newest, algorithm=_ALGORITHM)

    def _verify(self, kind: TokenKind, token: str, now_s: float) -> dict[str, Any]:
        if len(token) > _MAX_TOKEN_CHARACTERS or _ONE_FORM.fullmatch(token) is None:
            raise TokenInvalid
        for secret in self._secrets[kind]:
            try:
                # The time is compared below, against the caller's clock.
                claims = self._codec.decode(
                    token,
                    secret,
                    algorithms=[_ALGORITHM],
                    options={
                        "require": list(_CLAIMS),
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                    },
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, RecursionError) as error:
                raise TokenInvalid from error
            if not _is_well_formed(claims) or claims["typ"] != kind:
                raise TokenInvalid
            if now_s >= claims["exp"]:
                raise TokenExpired
            return claims
        raise TokenInvalid


def _is_well_formed(claims: dict[str, Any]) -> bool:
    """Say whether every claim has its type; ids are canonical decimal text of a positive number."""
    texts = all(isinstance(claims[name], str) and claims[name] for name in ("id", "sub", "jti", "typ", "fam"))
    # bool is a kind of int in Python; no clock says True.
    times = all(type(claims[name]) is int for name in ("iat", "exp"))
    if not texts or not times or claims["id"] != claims["sub"]:
        return False
    user_id: str = claims["id"]
    return (
        user_id.isascii()
        and user_id.isdecimal()
        and not user_id.startswith("0")
        and len(user_id) <= len(str(_MAX_USER_ID))
        and int(user_id) <= _MAX_USER_ID
        and " " not in claims["fam"]
        and "\0" not in claims["fam"] + claims["jti"]
    )
