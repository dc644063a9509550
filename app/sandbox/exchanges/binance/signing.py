"""Verifies Binance's signature: an HMAC of all that was sent but the signature itself, and a moment within the window."""

import hashlib
import hmac
import re
from datetime import datetime

from app.sandbox.amounts import parse_whole
from app.sandbox.calls import ReceivedCall
from app.sandbox.exchanges.binance.refusals import (
    BinanceRefusal,
    ahead_of_server,
    missing_parameter,
    outside_window,
    wrong_signature,
)

DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
AHEAD_MS = 1_000
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")


def verify_moment(entered: dict[str, str], *, now: datetime) -> None:
    """Compare the timestamp with the exchange's clock. Raises BinanceRefusal -1021, -1102 or -1131."""
    timestamp = parse_whole(entered.get("timestamp", ""))
    if timestamp is None:
        raise missing_parameter("timestamp")
    window = parse_whole(entered.get("recvWindow", str(DEFAULT_WINDOW_MS)))
    if window is None or window > MAX_WINDOW_MS:
        raise BinanceRefusal(-1131, "recvWindow must be less than 60000.")
    now_ms = int(now.timestamp() * 1000)
    if timestamp >= now_ms + AHEAD_MS:
        raise ahead_of_server()
    if now_ms - timestamp > window:
        raise outside_window()


def verify_signature(call: ReceivedCall, *, secret: str) -> None:
    """Compare the signature over query and body as they were sent. Raises BinanceRefusal -1022 or -1102."""
    query, body = call.query, call.body.decode("utf-8", "replace")
    found = _SIGNATURE.search(query) or _SIGNATURE.search(body)
    if found is None:
        raise missing_parameter("signature")
    signed = _SIGNATURE.sub("", query) + _SIGNATURE.sub("", body)
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), found[1].lower().encode()):
        raise wrong_signature()
