"""Pure readers of what exchanges answer: whatever is not clearly what it should be is refused, never guessed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from app.exchanges.errors import InvalidKey, UnexpectedReply
from app.exchanges.http import Reply

_DEPTH_CAP = 40
_VALUES_CAP = 60_000  # lists, objects and commas: a full account has 20,000, and each costs many times its length
_QUOTES_CAP = 4 * _VALUES_CAP
_WIDE_CAP = 512 * 1024  # bytes of an answer that is not plain ASCII: one wide letter makes each letter cost four bytes
_SHAPED_CAP = 1024 * 1024  # bytes: what fits a shape is not counted value by value
_LONG_TEXT = re.compile(rb'"[^"]{65536}')
_EXPONENT_CAP = 40
_PLAIN_CAP = 40  # digits and point of an amount that needs no further look
_RETRY_AFTER_CAP_SECONDS = 3600.0
# Possessive, and a text without an end reaches to the end: any other form is slow or large on hostile texts.
_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_ZERO = Decimal(0)
Expected = Sequence[tuple[str, str]]  # (code, text fragment) of refusals that answer a probe's question with yes
Json = Any  # whatever json.loads gives; adapters narrow it with the parse_ functions


class Shape:
    """The shape that a long answer usually has, as a msgspec type: read so, it takes a fifth of the time.

    What fits is a good answer, so the type must hold what a refusal lacks. What does not fit is read the long way.
    """

    def __init__(self, kind: Any) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, content: bytes) -> Any | None:
        """Return the answer as the shape's type; None for one that does not fit, or is longer than usual ones are."""
        if len(content) > _SHAPED_CAP:
            return None
        try:
            return self._decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer is read: refusals that are good answers here, and the shape that it usually has."""

    expected: Expected = ()
    shape: Shape | None = None


PLAINLY = Reading()


def parse_json(content: bytes) -> Json:
    """Return the JSON value, numbers with a point as Decimal. Raises ValueError for anything odd, NaN, deep or huge."""

    def refuse(constant: str) -> Json:
        raise ValueError("not a finite number")

    if _LONG_TEXT.search(content) or (len(content) > _WIDE_CAP and not content.isascii()):
        raise ValueError("too long a text")
    if sum(map(content.count, (b",", b"[", b"{"))) > _VALUES_CAP or content.count(b'"') > _QUOTES_CAP:
        raise ValueError("too many values")
    if max_depth(content) > _DEPTH_CAP and max_depth(_TEXTS.sub(b"", content)) > _DEPTH_CAP:
        raise ValueError("too deep")
    try:
        return json.loads(content.decode("utf-8"), parse_float=Decimal, parse_constant=refuse)
    except (RecursionError, InvalidOperation):
        raise ValueError("not readable") from None


def max_depth(content: bytes) -> int:
    """Return an upper bound of the nesting depth: brackets inside texts count too. Stops counting beyond the cap.

    Pairs with nothing between them are taken away, layer after layer; what is left are brackets that don't pair.
    """
    brackets = content.translate(_AS_ONE_KIND, _NOT_BRACKETS)
    for depth in range(_DEPTH_CAP + 1):
        if not brackets:
            return depth
        brackets = brackets.replace(b"{}", b"")
    return _DEPTH_CAP + 1


def parse_amount(value: Json, *, call: str) -> Decimal:
    """Return a finite, non-negative amount from an exchange's text or number. Raises UnexpectedReply otherwise.

    Plain digits with at most one point are what nearly every row holds: they can be nothing else, and take the short way.
    """
    if value == "0":
        return _ZERO
    if type(value) is str and len(value) <= _PLAIN_CAP and value.isascii() and value.replace(".", "", 1).isdigit():
        return Decimal(value)
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
    if type(value) is str and len(value) <= 40 and value.isascii() and value.isalnum():
        return value.upper()
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
    """Return the seconds of a Retry-After header, at most one hour; None when absent or odd.

    A date counts from the answer's own Date, so that no clock but the exchange's is asked; a past one is no wait.
    """
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return _RETRY_AFTER_CAP_SECONDS if len(text) > 9 else min(float(text), _RETRY_AFTER_CAP_SECONDS)
    try:
        wait = (parsedate_to_datetime(text) - parsedate_to_datetime(reply.headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError):  # TypeError: one of the two names no time zone
        return None
    return min(max(wait, 0.0), _RETRY_AFTER_CAP_SECONDS)
