"""Pure readers of what exchanges answer: whatever is not clearly what it should be is refused, never guessed."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from app.exchanges.errors import InvalidKey, UnexpectedReply
from app.exchanges.http import Reply

_DEPTH_CAP = 40
_EXPONENT_CAP = 40
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
Json = Any  # whatever json.loads gives; adapters narrow it with the parse_ functions


def parse_json(content: bytes) -> Json:
    """Return the JSON value, numbers with a point as Decimal. Raises ValueError for anything odd, NaN or too deep."""

    def refuse(constant: str) -> Json:
        raise ValueError("not a finite number")

    if max_depth(content) > _DEPTH_CAP and max_depth(_TEXTS.sub(b"", content)) > _DEPTH_CAP:
        raise ValueError("too deep")
    try:
        return json.loads(content.decode("utf-8"), parse_float=Decimal, parse_constant=refuse)
    except (RecursionError, InvalidOperation):
        raise ValueError("not readable") from None


def max_depth(content: bytes) -> int:
    """Return an upper bound of the nesting depth: brackets inside texts count too. Stops counting beyond the cap."""
    depth = deepest = 0
    for byte in content.translate(None, _NOT_BRACKETS):
        if byte in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > _DEPTH_CAP:
                    break
        else:
            depth -= 1
    return deepest


def parse_amount(value: Json, *, call: str) -> Decimal:
    """Return a finite, non-negative amount from an exchange's text or number. Raises UnexpectedReply otherwise."""
    try:
        amount = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except (InvalidOperation, ValueError):
        amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        raise UnexpectedReply("an amount that is no amount", call=call)
    exponent = amount.as_tuple().exponent
    if amount.adjusted() > _EXPONENT_CAP or not isinstance(exponent, int) or exponent < -_EXPONENT_CAP:
        raise UnexpectedReply("an amount that is no amount", call=call)
    return amount.copy_abs()  # "-0" is zero; abs() would round to 28 digits


def parse_asset(value: Json, *, call: str) -> str:
    """Return an asset's code in upper case. Raises UnexpectedReply for anything that is no short printable word."""
    if not isinstance(value, str) or not value.strip() or len(value) > 40 or not value.isprintable():
        raise UnexpectedReply("an asset without a code", call=call)
    return value.strip().upper()


def parse_rows(value: Json, *, call: str) -> list[dict[str, Json]]:
    """Return a list of objects. Raises UnexpectedReply for any other shape."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UnexpectedReply("not a list of objects", call=call)
    return value


def parse_public_key(value: str) -> str:
    """Return a key's public part as a header or query may carry it. Raises InvalidKey for a text that cannot be one."""
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidKey
    return value


def parse_retry_after(reply: Reply) -> float | None:
    """Return the seconds of a Retry-After header, at most one hour; None when absent or odd."""
    text = reply.headers.get("retry-after", "").strip()
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() and len(text) < 10 else None
