"""Verifies bitexbit's two signatures: v2 (path, rising nonce, body) and Gateway (key, path, deadline, body)."""

import hashlib
import hmac

from app.sandbox.accounts import SimulatedKey
from app.sandbox.amounts import parse_whole
from app.sandbox.calls import ReceivedCall
from app.sandbox.exchanges.bitexbit.refusals import BitexbitRefusal, invalid_nonce

GATEWAY = "/api/gateway/"
_ABSENT = "Authentication credentials were not provided."


def read_access_key(call: ReceivedCall) -> str:
    """Return the access key a call names; empty when it names none."""
    return call.headers.get("x-key" if call.path.startswith(GATEWAY) else "x-api-key", "")


def verify_call(call: ReceivedCall, key: SimulatedKey) -> None:
    """Check signature and nonce (or deadline); a good call moves the key's nonce. Raises BitexbitRefusal 401."""
    if call.path.startswith(GATEWAY):
        _verify_gateway(call, key)
    else:
        _verify_v2(call, key)


def _verify_v2(call: ReceivedCall, key: SimulatedKey) -> None:
    nonce, given = call.headers.get("x-nonce", ""), call.headers.get("x-signature", "")
    if not nonce or not given:
        raise BitexbitRefusal(401, _ABSENT)
    number = parse_whole(nonce)
    if number is None:
        raise invalid_nonce()
    _compare(given, f"{call.path}{nonce}".encode() + call.body, secret=key.secret)
    if number <= key.last_nonce:
        raise invalid_nonce()
    key.last_nonce = number


def _verify_gateway(call: ReceivedCall, key: SimulatedKey) -> None:
    until, given = call.headers.get("x-timeout", ""), call.headers.get("x-sign", "")
    if not until or not given:
        raise BitexbitRefusal(401, _ABSENT)
    _compare(given, f"{key.access_key}{call.path}{until}".encode() + call.body, secret=key.secret)
    if (parse_whole(until) or 0) < call.received_at.timestamp() * 1000:
        raise BitexbitRefusal(401, "Request timeout has expired.")


def _compare(given: str, message: bytes, *, secret: str) -> None:
    expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise BitexbitRefusal(401, "Invalid signature.")
