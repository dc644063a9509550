"""What the proofs against guessing share: browsers at any address, and passwords that count how often they are judged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.accounts.passwords import Passwords, Verdict
from app.masking import Secret

ORIGIN = "http://127.0.0.1:8000"


class CountedPasswords(Passwords):
    """Quick hashing that counts: every judgement, and those of a real account's hash."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8)
        self.judged = 0
        self.judged_known = 0
        self.hashed = 0

    async def verify(self, password: Secret, stored_hash: str | None) -> Verdict:
        self.judged += 1
        self.judged_known += stored_hash is not None
        return await super().verify(password, stored_hash)

    async def hash(self, password: Secret) -> str:
        self.hashed += 1
        return await super().hash(password)


@asynccontextmanager
async def browse(app: Any, ip: str = "127.0.0.1", **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at this address."""
    transport = httpx.ASGITransport(app=app, client=(ip, 50000))
    own = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN, **headers}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=own) as client:
        yield client


def list_addresses(number: int) -> list[str]:
    return [f"198.51.{100 + index // 250}.{index % 250 + 1}" for index in range(number)]
