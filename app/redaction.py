"""The net under the masking type: takes secrets out of texts and fields by the names and shapes they travel under.

The first defence is that secrets exist only as `app.masking.Secret`. This is the second, for what other people's
libraries and our own mistakes would write: it works on whatever reaches a log line. Pure functions, no state.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from app.masking import MASK, Secret

_TEXT_CAP = 4000
_DEPTH_CAP = 6
_NAMES = (
    r"(?:x[-_])?(?:mbx[-_])?api[-_]?key(?:[-_]?id)?|access[-_]?key(?:[-_]?id)?|private[-_]?key|secret(?:[-_]?key)?|client[-_]?secret"
    r"|(?:x[-_])?(?:api[-_])?sign(?:ature)?|x[-_]key|(?:proxy[-_])?authorization|pass(?:word|wd|phrase)(?:[-_]?\w+)?|pwd"
    r"|(?:\w+[-_])?token|(?:set[-_])?cookie|otp|totp|recovery[-_]?code|seed|database[-_]?url"
)
_VALUE = r"""b?\\+"[^"]*"|b?\\+'[^']*'|b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|[^\s,;&"'}\])]+"""
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]*@"), rf"\1{MASK}@"),
    (re.compile(r"\?[^\s\"'<>?]*=[^\s\"'<>]*"), "?…"),
    (re.compile(r"\b(HS256|Basic|Bearer|Digest|Negotiate)(\s+|:)[^\s\"',;]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\bkd_[A-Za-z0-9_-]{6,}"), f"kd_{MASK}"),
    (re.compile(rf"(?<![\w])(b?\\*[\"'](?:{_NAMES})\\*[\"']\s*[:=,]\s*)(?:{_VALUE})", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"(?<![\w-])((?:{_NAMES})\s*[:=]\s*)(?:(?:HS256|Basic|Bearer) )?(?:{_VALUE})", re.IGNORECASE), rf"\1{MASK}"),
)
_FIELD = re.compile(
    r"api_?key|access_?key|private_?key|x_key$|secret|sign(ature)?$|authorization|pass(word|wd|phrase)|token$|cookie|otp$|recovery"
    r"|^query|^body|database_url"
)
_TELLTALE_FREE = re.compile(r"(_at|_id|_count|_seconds|_version|_ms)$")


def redact_text(text: str) -> str:
    """Return the text without URL queries and without the values that stand next to a secret's usual names."""
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text if len(text) <= _TEXT_CAP else f"{text[:_TEXT_CAP]}… ({len(text)} characters)"


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name is masked whatever it holds; `token_id`, `secret_version` and such are not."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    if plain in ("api_key_id", "access_key_id"):
        return True
    return _FIELD.search(plain) is not None and _TELLTALE_FREE.search(plain) is None


def redact_value(value: object, *, depth: int = 0) -> Any:
    """Return a value fit for a log line: plain JSON types only, secrets masked, unknown objects by their type's name.

    The text of an unknown object is never asked for: it may hold a URL, a body or an exception's words.
    """
    if isinstance(value, Enum):
        return redact_value(value.value, depth=depth)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | Decimal | UUID | PurePath):
        return redact_text(str(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return _redact_object(value, depth=depth)


def redact_fields(fields: Mapping[Any, object], *, depth: int = 0) -> dict[str, Any]:
    """Return the fields with secret names masked and every other value made fit for a log line."""
    return {
        redact_text(str(name)): MASK if is_secret_name(str(name)) and value is not None else redact_value(value, depth=depth)
        for name, value in fields.items()
    }


def _redact_object(value: object, *, depth: int) -> Any:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        return describe_error(value)
    if depth < _DEPTH_CAP and isinstance(value, Mapping):
        return redact_fields(value, depth=depth + 1)
    if depth < _DEPTH_CAP and isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item, depth=depth + 1) for item in value]
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def describe_error(error: BaseException) -> str:
    """Return an exception's type, with our own stable code where it has one; never its text."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    code = getattr(error, "code", None)
    known = kind.__module__.startswith("app.") and isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code)
    return f"{name} ({code})" if known else name
