"""Passwords: Argon2id in a bounded pool of threads, the rules for a new one, and the same work for unknown people."""

import secrets
import unicodedata
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.accounts.common_passwords import is_common
from app.masking import Secret

SHORTEST = 12  # characters
LONGEST = 256  # characters
_LONGEST_TYPED = 4 * LONGEST  # a character may be typed as several; more is no password, and slow to bring into one form
_MEMORY_KIB = 46 * 1024  # OWASP's figures for Argon2id with one pass and one lane
_AT_ONCE = 4  # hashes at once; each takes the memory above, so the pool bounds what a flood of sign-ins can use


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a password was judged; `new_hash` is set when the stored hash was made with older parameters."""

    is_right: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies passwords. Parameters are injectable so that tests need not wait."""

    def __init__(
        self, *, memory_kib: int = _MEMORY_KIB, time_cost: int = 1, parallelism: int = 1, at_once: int = _AT_ONCE
    ) -> None:
        self._hasher = PasswordHash((Argon2Hasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism),))
        self._limiter = anyio.CapacityLimiter(at_once)
        self._nobodys_hash = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: Secret) -> str:
        """Return the encoded hash to store."""
        return await to_thread.run_sync(self._hasher.hash, _prepare(password), limiter=self._limiter)

    async def verify(self, password: Secret, stored_hash: str | None) -> Verdict:
        """Judge a password. Without a stored hash (nobody has this e-mail) the same work is done and the answer is no."""
        if _is_endless(password):
            password, stored_hash = Secret(""), None
        check = partial(self._hasher.verify_and_update, _prepare(password), stored_hash or self._nobodys_hash)
        is_right, new_hash = await to_thread.run_sync(check, limiter=self._limiter)
        return Verdict(is_right=is_right, new_hash=new_hash) if stored_hash else Verdict(is_right=False)


def find_password_fault(password: Secret, *, email: str) -> str | None:
    """Return what is wrong with a new password, or None. Length and rareness count, composition does not."""
    if _is_endless(password):
        return f"Use at most {LONGEST} characters."
    text = unicodedata.normalize("NFKC", password.reveal())
    if len(text) < SHORTEST:
        return f"Use at least {SHORTEST} characters; a few words are fine."
    if len(text) > LONGEST:
        return f"Use at most {LONGEST} characters."
    if text.strip().lower() == email:
        return "The password must not be your e-mail address."
    if is_common(text, email=email):
        return "This password is among the first that attackers try. Use a few words that have nothing to do with each other."
    return None


def _is_endless(password: Secret) -> bool:
    """Tell whether this is longer than any password; the time of bringing accents into order grows with the square."""
    return len(password.reveal()) > _LONGEST_TYPED


def _prepare(password: Secret) -> bytes:
    """Return the password's bytes in one Unicode form, so that another keyboard's é is the same é."""
    return unicodedata.normalize("NFKC", password.reveal()).encode("utf-8", "surrogatepass")
