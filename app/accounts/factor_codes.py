"""Codes a person types: six digits of an authenticator app, or a recovery code. Pure: no database, no clock.

One of the few modules that open a secret: an app's seed goes into its QR code and into the arithmetic of codes here.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

import pyotp
import segno

from app.masking import Secret

SEED_FIELD = "seed"
STEP_SECONDS = 30
RECOVERY_CODES = 10
_NEIGHBOURS = (0, -1, 1)  # steps: a phone's clock may be half a minute off
_ISSUER = "Keydeck"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # none that is mistaken for another: 16 of them are 80 bits
_RECOVERY = re.compile(f"[{_LETTERS}]{{16}}")
_TOTP = re.compile(r"[0-9]{6}")
_LONGEST = 64  # characters of anything typed as a code
_MISREAD = str.maketrans({"o": "0", "i": "1", "l": "1"})


@dataclass(frozen=True, slots=True)
class TotpSetUp:
    """What the set-up page shows: the QR code as an SVG path over `size` modules, and the same seed to type."""

    path: str
    size: int
    seed: str


def create_seed() -> Secret:
    """Return a fresh seed: 160 random bits in base 32, the size RFC 4226 asks for."""
    return Secret(pyotp.random_base32())


def draw_set_up(seed: Secret, *, email: str, host: str) -> TotpSetUp:
    """Return the QR code an authenticator app scans, and the seed in groups of four."""
    plain = seed.reveal()
    address = pyotp.TOTP(plain).provisioning_uri(name=email, issuer_name=f"{_ISSUER} {host}")
    rows = [[bool(module) for module in row] for row in segno.make_qr(address, error="m").matrix_iter(border=0)]
    groups = " ".join(plain[start : start + 4] for start in range(0, len(plain), 4))
    return TotpSetUp("".join(_draw_runs(rows)), len(rows), groups)


def _draw_runs(rows: list[list[bool]]) -> Iterator[str]:
    """Yield one rectangle per run of dark modules in a row."""
    for top, row in enumerate(rows):
        start = None
        for left, is_dark in enumerate([*row, False]):
            if is_dark and start is None:
                start = left
            elif not is_dark and start is not None:
                yield f"M{start} {top}h{left - start}v1H{start}z"
                start = None


def parse_totp(text: str) -> Secret | None:
    """Return six digits if that is what was typed, however spaced."""
    digits = "".join(text[:_LONGEST].split())
    return Secret(digits) if _TOTP.fullmatch(digits) else None


def parse_recovery(text: str) -> Secret | None:
    """Return a recovery code if it may be one, however spaced, dashed or misread."""
    letters = re.sub(r"[\s-]", "", text[:_LONGEST]).lower().translate(_MISREAD)
    return Secret(letters) if _RECOVERY.fullmatch(letters) else None


def find_step(seed: Secret, code: Secret, *, now: datetime) -> int | None:
    """Return the 30-second step the code is of: this one or a neighbour; None when it is of neither."""
    totp = pyotp.TOTP(seed.reveal())
    current = int(now.timestamp()) // STEP_SECONDS
    matching = [current + offset for offset in _NEIGHBOURS if compare_digest(totp.generate_otp(current + offset), code.reveal())]
    return max(matching) if matching else None


def create_recovery_codes() -> list[Secret]:
    return [Secret("".join(secrets.choice(_LETTERS) for _ in range(16))) for _ in range(RECOVERY_CODES)]


def write_recovery_codes(codes: list[Secret]) -> list[str]:
    """Return the codes as people read them, for the one page that shows them."""
    plain = [code.reveal() for code in codes]
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in plain]
