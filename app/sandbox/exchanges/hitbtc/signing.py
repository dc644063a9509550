"""Reads HitBTC's Authorization header (Basic and HS256) and verifies it the way the exchange does."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from app.sandbox.amounts import parse_whole
from app.sandbox.calls import ReceivedCall
from app.sandbox.exchanges.hitbtc.refusals import HitbtcRefusal

DEFAULT_WINDOW_MS = 10_000
MAX_WINDOW_MS = 60_000
STALE = "request is outside of the time window"


@dataclass(frozen=True, slots=True)
class Presented:
    """What a caller showed. For Basic `proof` is the secret itself, and there is no timestamp."""

    access_key: str
    proof: str
    timestamp: str = ""
    window: str = ""
    is_signed: bool = True


def parse_authorization(header: str) -> Presented:
    """Return what the header holds. Raises HitbtcRefusal 1002 (absent, mangled) or 1004 (another scheme)."""
    if not header.strip():
        raise HitbtcRefusal(1002, "")
    scheme, _, encoded = header.strip().partition(" ")
    if scheme not in ("Basic", "HS256"):
        raise HitbtcRefusal(1004)
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        raise HitbtcRefusal(1002, "invalid signature format") from None
    if scheme == "Basic":
        access_key, colon, secret = text.partition(":")
        if not colon:
            raise HitbtcRefusal(1002, "invalid credentials format")
        return Presented(access_key, secret, is_signed=False)
    parts = text.split(":")
    if len(parts) not in (3, 4) or any(parse_whole(part) is None for part in parts[2:]):
        raise HitbtcRefusal(1002, "invalid signature format")
    return Presented(parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else "")


def verify_moment(presented: Presented, *, now: datetime) -> None:
    """Compare the timestamp with the exchange's clock. Raises HitbtcRefusal 1002."""
    if not presented.is_signed:
        return
    window = int(presented.window or DEFAULT_WINDOW_MS)
    if window > MAX_WINDOW_MS or abs(now.timestamp() * 1000 - int(presented.timestamp)) > window:
        raise HitbtcRefusal(1002, STALE)


def verify_proof(presented: Presented, call: ReceivedCall, *, secret: str) -> None:
    """Compare the signature over the bytes that arrived (or the Basic secret). Raises HitbtcRefusal 1002."""
    if not presented.is_signed:
        if not hmac.compare_digest(presented.proof.encode(), secret.encode()):
            raise HitbtcRefusal(1002, "invalid signature or secret")
        return
    asked = f"{call.method}{call.path}" + (f"?{call.query}" if call.query else "")
    message = asked.encode() + call.body + presented.timestamp.encode() + presented.window.encode()
    expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(presented.proof.encode(), expected.encode()):
        raise HitbtcRefusal(1002, "invalid signature")
