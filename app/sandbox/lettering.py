"""Draws texts that look random and are the same in every process: the sandbox's keys and secrets, and small variations.

Drawn once in a process: they are public, a few thousand, and each app with a sandbox asks for all of them.
"""

import hashlib
from decimal import Decimal
from functools import cache

ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
HEX = "0123456789abcdef"


@cache
def draw_text(seed: str, *, length: int, alphabet: str) -> str:
    """Return `length` characters of the alphabet, decided by the seed alone."""
    material = hashlib.shake_256(f"keydeck sandbox/{seed}".encode()).digest(length * 4)
    picks = (int.from_bytes(material[place : place + 4], "big") for place in range(0, length * 4, 4))
    return "".join(alphabet[pick % len(alphabet)] for pick in picks)


@cache
def draw_factor(seed: str) -> Decimal:
    """Return a factor between 0.25 and 2.25 with four decimals, decided by the seed alone."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") % 20_000
    return Decimal(2_500 + number) / 10_000
