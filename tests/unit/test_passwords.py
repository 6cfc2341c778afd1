"""Passwords: the same work for every refusal, bounded queues, hashes that grow with the times."""

from __future__ import annotations

import asyncio
import threading

import bcrypt
import pytest

from server.auth.errors import Busy
from server.auth.passwords import PasswordHasher
from tests.support.limits import LIMIT_S

COST = 5
PASSWORD = "correct horse"


class Spy:
    """Checks with bcrypt, and adds up the rounds that it took."""

    def __init__(self) -> None:
        self.rounds = 0
        self.running = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        """Wait for the gate, count, check."""
        self.running.release()
        self.gate.wait(5)
        self.rounds += 2 ** int(hashed.split(b"$")[2])
        return bcrypt.checkpw(password, hashed)


def hash_at(cost: int, password: str = PASSWORD) -> str:
    """A hash as it was made when BCRYPT_COST was `cost`."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


async def test_right_and_wrong_password() -> None:
    """The password that was hashed is accepted, another is not, up to the last byte that counts."""
    hasher = PasswordHasher(COST)
    stored = await hasher.hash("x" * 72)
    assert await hasher.verify("x" * 72, stored)
    assert not await hasher.verify("x" * 71 + "y", stored)
    assert not await hasher.verify("x" * 73, stored)
    hasher.close()


async def test_nul_is_a_character() -> None:
    """What follows a NUL counts."""
    hasher = PasswordHasher(COST)
    stored = await hasher.hash("abcdefgh\0one")
    assert not await hasher.verify("abcdefgh\0two", stored)
    assert await hasher.verify("abcdefgh\0one", stored)
    hasher.close()


@pytest.mark.parametrize(
    ("password", "stored"),
    [
        pytest.param("wrong", hash_at(COST), id="wrong password"),
        pytest.param(PASSWORD, None, id="unknown e-mail"),
        pytest.param("x" * 73, None, id="unknown e-mail, password too long"),
        pytest.param("x" * 73, hash_at(COST), id="password too long"),
        pytest.param("wrong", hash_at(COST - 1), id="wrong password, older hash"),
        pytest.param("\ud800", hash_at(COST), id="no text"),
    ],
)
async def test_every_refusal_takes_the_same_work(password: str, stored: str | None) -> None:
    """Nobody learns from the time whether an e-mail has an account: the rounds of bcrypt are the same."""
    spy = Spy()
    hasher = PasswordHasher(COST, check=spy)
    assert not await hasher.verify(password, stored)
    assert spy.rounds == 2**COST
    hasher.close()


async def test_older_hashes_take_the_same_work() -> None:
    """However old a hash is, checking it costs what a new one costs."""
    spy = Spy()
    hasher = PasswordHasher(7, check=spy)
    assert await hasher.verify(PASSWORD, hash_at(4))
    assert spy.rounds == 2**7
    hasher.close()


async def test_outdated() -> None:
    """A hash is outdated when BCRYPT_COST rose, not when it fell."""
    hasher = PasswordHasher(COST)
    assert hasher.is_outdated(hash_at(COST - 1))
    assert not hasher.is_outdated(hash_at(COST))
    assert not hasher.is_outdated(hash_at(COST + 1))
    hasher.close()


async def test_past_its_bound_the_queue_says_no() -> None:
    """One works, one waits, the next is asked to come back; then there is room again."""
    spy = Spy()
    spy.gate.clear()
    hasher = PasswordHasher(COST, threads=1, max_waiting=1, check=spy)
    waiting = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(2)]
    await asyncio.to_thread(spy.running.acquire, timeout=LIMIT_S)
    assert hasher.occupied == 2
    with pytest.raises(Busy) as refused:
        await hasher.hash(PASSWORD)
    assert refused.value.retry_after_s >= 1
    spy.gate.set()
    assert await asyncio.gather(*waiting) == [False, False]
    assert hasher.occupied == 0
    assert await hasher.verify(PASSWORD, await hasher.hash(PASSWORD))
    hasher.close()


async def test_the_loop_goes_on() -> None:
    """While passwords are hashed, other work of the process is not held up."""
    hasher = PasswordHasher(9)
    hashing = asyncio.ensure_future(hasher.hash(PASSWORD))
    passes = 0
    while not hashing.done():
        await asyncio.sleep(0)
        passes += 1
    assert passes > 10
    hasher.close()
