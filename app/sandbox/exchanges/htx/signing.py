"""Verifies HTX's signed query: decodes it, writes it again in canonical form, and compares (HMAC and Ed25519)."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.sandbox.calls import ReceivedCall
from app.sandbox.exchanges.htx.refusals import HtxRefusal, refuse_signature, wrong_moment, wrong_signature

CLOCK_TOLERANCE = timedelta(minutes=5)
_METHODS = ("HmacSHA256", "Ed25519")


def read_presented(call: ReceivedCall) -> dict[str, str]:
    """Return the query's parameters. Raises HtxRefusal when key or signature are not there, or of an unknown kind."""
    presented = dict(call.list_parameters())
    if not presented.get("AccessKeyId") or not presented.get("Signature"):
        raise HtxRefusal("login-required", "Login required.", 1002)
    if presented.get("SignatureMethod") not in _METHODS:
        raise refuse_signature("Incorrect signature method [错误的签名方法]", number=12003)
    if presented.get("SignatureVersion") != "2":
        raise refuse_signature("Incorrect signature version [错误的签名版本]", number=12002)
    if not presented.get("Timestamp"):
        raise refuse_signature("Submission time is required [提交时间不能为空]", number=12006)
    return presented


def verify_moment(presented: dict[str, str], *, now: datetime) -> None:
    """Compare the Timestamp with the exchange's clock. Raises HtxRefusal beyond five minutes either way."""
    try:
        sent = datetime.strptime(presented["Timestamp"], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise wrong_moment() from None
    if abs(now - sent) > CLOCK_TOLERANCE:
        raise wrong_moment()


def verify_signature(call: ReceivedCall, presented: dict[str, str], *, secret: str) -> None:
    """Compare the signature with our own over the canonical text. Raises HtxRefusal (Verification failure)."""
    text = write_signed_text(call)
    is_pem = secret.startswith("-----BEGIN")
    if is_pem != (presented["SignatureMethod"] == "Ed25519"):
        raise refuse_signature("Incorrect signature method [错误的签名方法]", number=12003)
    if is_pem:
        _verify_ed25519(text, presented["Signature"], secret=secret)
        return
    expected = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())
    if not hmac.compare_digest(expected, presented["Signature"].encode()):
        raise wrong_signature()


def write_signed_text(call: ReceivedCall) -> str:
    """Return the four lines HTX signs. A POST's body and the Signature itself are not part of them."""
    signed = sorted((name, value) for name, value in call.list_parameters() if name != "Signature")
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in signed)
    return f"{call.method}\n{call.host}\n{call.path}\n{query}"


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _verify_ed25519(text: str, signature: str, *, secret: str) -> None:
    """Check with the public half; the real exchange holds only that."""
    private = load_pem_private_key(secret.encode(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise wrong_signature()
    try:
        private.public_key().verify(base64.b64decode(signature, validate=True), text.encode())
    except (InvalidSignature, ValueError):
        raise refuse_signature("Incorrect Private Key signature", number=12010) from None
