"""Verifies Kraken's API-Sign over path, number and the body as it was sent, then that the number rises."""

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qsl

from app.sandbox.accounts import SimulatedKey
from app.sandbox.amounts import parse_whole
from app.sandbox.calls import Json, ReceivedCall
from app.sandbox.exchanges.kraken.refusals import KrakenRefusal, invalid_nonce, invalid_signature


def read_fields(call: ReceivedCall) -> dict[str, Json]:
    """Return the fields of a form or JSON body. Raises KrakenRefusal."""
    if "json" not in call.headers.get("content-type", ""):
        return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise KrakenRefusal("EAPI:Bad request")
    return body


def verify_call(call: ReceivedCall, fields: dict[str, Json], key: SimulatedKey) -> None:
    """Check signature and number, and remember the number. Raises KrakenRefusal."""
    nonce = str(fields.get("nonce", ""))
    number = parse_whole(nonce)
    if number is None:
        raise invalid_nonce()
    signed = call.path.encode() + hashlib.sha256(nonce.encode() + call.body).digest()
    expected = base64.b64encode(hmac.new(base64.b64decode(key.secret), signed, hashlib.sha512).digest())
    if not hmac.compare_digest(expected, call.headers.get("api-sign", "").encode()):
        raise invalid_signature()
    if number <= key.last_nonce:
        raise invalid_nonce()
    key.last_nonce = number
