"""Tokens: what is issued is accepted as what it is, and nothing else is."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from game.session import UserId
from persistence.durable.token_families import REVOKED_FOR_S
from server.auth.tokens import (
    ACCESS_TTL_S,
    REFRESH_TTL_S,
    AccessClaims,
    RefreshClaims,
    TokenInvalid,
    TokenPair,
    TokenSigner,
)

ACCESS, REFRESH, OLD = "a" * 32, "r" * 32, "o" * 32
NOW_S = 1_700_000_000
SIGNER = TokenSigner([ACCESS], [REFRESH])
CLAIMS = {
    "id": "7",
    "sub": "7",
    "iat": NOW_S,
    "exp": NOW_S + 60,
    "jti": "j",
    "typ": "access",
    "fam": "f",
}


def pair() -> TokenPair:
    """A pair as the signer issues it."""
    return SIGNER.issue_pair(UserId(7), "family", "jti", NOW_S)


def signed(claims: dict[str, Any], key: str = ACCESS, algorithm: str | None = "HS256") -> str:
    """A token that somebody made."""
    return jwt.encode(claims, key, algorithm=algorithm)


def test_pair_is_accepted_as_what_it_is() -> None:
    """Each token of a pair speaks for its user and family until its own end."""
    assert AccessClaims(UserId(7), "family", NOW_S + ACCESS_TTL_S) == SIGNER.verify_access(
        pair().access_token, NOW_S
    )
    assert RefreshClaims(UserId(7), "family", "jti", NOW_S + REFRESH_TTL_S) == SIGNER.verify_refresh(
        pair().refresh_token, NOW_S
    )


def test_claims_on_the_wire() -> None:
    """Clients read the user's id as a text in `id`; the other claims are those of the contract."""
    claims = jwt.decode(pair().access_token, options={"verify_signature": False})
    assert set(CLAIMS) == set(claims)
    assert (
        claims["id"],
        claims["sub"],
        claims["typ"],
        claims["exp"] - claims["iat"],
    ) == ("7", "7", "access", 15 * 60)
    assert jwt.get_unverified_header(pair().access_token)["alg"] == "HS256"


def test_same_arguments_same_bytes() -> None:
    """A pair follows from its family, jti and time alone: two tabs get the same."""
    assert TokenSigner([ACCESS], [REFRESH]).issue_pair(UserId(7), "family", "jti", NOW_S) == pair()


def test_one_kind_is_not_the_other() -> None:
    """Neither kind is accepted for the other, not even where both have one secret."""
    same = TokenSigner([ACCESS], [ACCESS])
    issued = same.issue_pair(UserId(7), "family", "jti", NOW_S)
    for signer, tokens in ((SIGNER, pair()), (same, issued)):
        with pytest.raises(TokenInvalid):
            signer.verify_access(tokens.refresh_token, NOW_S)
        with pytest.raises(TokenInvalid):
            signer.verify_refresh(tokens.access_token, NOW_S)


def test_expiry() -> None:
    """A token counts up to the last moment before `exp`."""
    SIGNER.verify_access(pair().access_token, NOW_S + ACCESS_TTL_S - 0.001)
    with pytest.raises(TokenInvalid):
        SIGNER.verify_access(pair().access_token, NOW_S + ACCESS_TTL_S)


def test_keys_rotate() -> None:
    """The first secret signs, every one is accepted, and one that was dropped is not."""
    old = TokenSigner([OLD], [OLD]).issue_pair(UserId(7), "family", "jti", NOW_S)
    both = TokenSigner([ACCESS, OLD], [REFRESH, OLD])
    assert UserId(7) == both.verify_access(old.access_token, NOW_S).user_id
    assert UserId(7) == both.verify_refresh(old.refresh_token, NOW_S).user_id
    assert pair() == both.issue_pair(UserId(7), "family", "jti", NOW_S)
    with pytest.raises(TokenInvalid):
        SIGNER.verify_access(old.access_token, NOW_S)


def test_own_claims_are_accepted() -> None:
    """The claims that the refused tokens below are made of are sound in themselves."""
    assert UserId(7) == SIGNER.verify_access(signed(CLAIMS), NOW_S).user_id


@pytest.mark.parametrize("missing", list(CLAIMS))
def test_missing_claim(missing: str) -> None:
    """A token that lacks a claim is invalid."""
    with pytest.raises(TokenInvalid):
        SIGNER.verify_access(
            signed({name: value for name, value in CLAIMS.items() if name != missing}), NOW_S
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "8"},
        {"id": "07", "sub": "07"},
        {"id": "-7", "sub": "-7"},
        {"id": "0", "sub": "0"},
        {"id": "seven", "sub": "seven"},
        {"id": "\u0667", "sub": "\u0667"},
        {"id": str(2**53 + 1), "sub": str(2**53 + 1)},
        {"id": "9" * 400, "sub": "9" * 400},
        {"id": ""},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float(NOW_S + 60)},
        {"iat": None},
        {"typ": "refresh"},
        {"typ": 1},
        {"fam": ""},
        {"fam": "a b"},
        {"fam": "a\0b"},
        {"jti": 5},
    ],
)
def test_wrong_claim(changed: dict[str, Any]) -> None:
    """A claim of another type or meaning makes a token invalid, though its signature is ours."""
    with pytest.raises(TokenInvalid):
        SIGNER.verify_access(signed(CLAIMS | changed), NOW_S)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "\ud800",
        "ж.ж.ж",
        signed(CLAIMS, REFRESH),
        signed(CLAIMS, "a" * 64, "HS512"),
        signed(CLAIMS, "", None),
        signed(CLAIMS)[:-2],
        signed(CLAIMS | {"fam": "f" * 5000}),
    ],
)
def test_not_ours(token: str) -> None:
    """Other algorithms, other secrets, no signature, nonsense: refused alike."""
    with pytest.raises(TokenInvalid):
        SIGNER.verify_access(token, NOW_S)


@given(st.text(max_size=200) | st.lists(st.text("abcXYZ019-_=", max_size=60), max_size=5).map(".".join))
def test_any_text(token: str) -> None:
    """No text but a token of ours gets past, and none raises anything else."""
    with pytest.raises(TokenInvalid):
        SIGNER.verify_access(token, NOW_S)


@pytest.mark.parametrize(("access", "refresh"), [([], [REFRESH]), ([ACCESS], [""])])
def test_no_secret(access: list[str], refresh: list[str]) -> None:
    """Without a secret for each kind there is no signer."""
    with pytest.raises(ValueError, match="secret"):
        TokenSigner(access, refresh)


def test_a_token_has_one_form() -> None:
    """Padding, spaces, or bits at the end that stand for nothing make another text, which is refused."""
    token = pair().access_token
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    others = [token[:-1] + alphabet[last ^ bits] for bits in (1, 2, 3)]
    others += [token + "=", token + "\n", f" {token}", token.replace(".", "=.", 1), token.replace(".", "==.")]
    for other in others:
        with pytest.raises(TokenInvalid):
            SIGNER.verify_access(other, NOW_S)
    assert SIGNER.verify_access(token, NOW_S)


def test_a_revoked_family_is_known_while_its_access_tokens_live() -> None:
    """What PostgreSQL keeps of a deleted player's families lasts exactly as long as it is needed."""
    assert ACCESS_TTL_S == REVOKED_FOR_S
