"""Known secrets to send through Keydeck, and a scanner that finds them again in any spelling, wherever they come out."""

import base64
import hashlib
import html
import json
import logging
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

from fastapi.exceptions import RequestValidationError
from sqlalchemy import text

from app.db import Base, Database

MARK = "q7XzW9kVt3"
PART_LENGTH = 14
_SIGNALS = (StopIteration, StopAsyncIteration, GeneratorExit)  # how Python returns from a coroutine: no failures
_INPUT_BY_DESIGN = (
    RequestValidationError,
)  # the framework's own, made of the input before our code runs: see describe_invalid_input


def make_canary(name: str, *, tail: str = "", length: int = 36) -> str:
    """Return a secret for a name, found nowhere by chance and the same in every run; all begin and end with one mark.

    `length` is that of the key it stands for: an exchange may refuse any other.
    """
    inner = max(length, 36) - 2 * len(MARK)
    digest = hashlib.sha256(f"canary {name}".encode()).hexdigest()
    return f"{MARK}{(digest * (inner // len(digest) + 1))[:inner]}{MARK}{tail}"


def list_spellings(secret: str) -> dict[str, bytes]:
    """Return the ways in which a secret could be written down, by name; equal ones once."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "lower": secret.lower().encode(),
        "upper": secret.upper().encode(),
        "reversed": secret[::-1].encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "url+": quote_plus(secret).encode(),
        "url twice": quote(quote(secret, safe=""), safe="").encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "json twice": json.dumps(json.dumps(secret))[3:-3].encode(),
        "html": html.escape(secret).encode(),
        "repr": repr(secret)[1:-1].encode(),
        "utf-16": secret.encode("utf-16-le"),
        "beginning": raw[:PART_LENGTH],
        "end": raw[-PART_LENGTH:],
    }
    for shift in range(3):
        found |= {f"{name} {shift}": code for name, code in _encode_shifted(raw, shift).items()}
    return {name: code for at, (name, code) in enumerate(found.items()) if code not in list(found.values())[:at]}


def _encode_shifted(raw: bytes, shift: int) -> dict[str, bytes]:
    """Return the base64 text that stays the same whatever stands around the secret, at one of three alignments."""
    start = -(-shift * 8 // 6) if shift else 0
    whole = (len(raw) + shift) * 8 // 6
    padded = b"\0" * shift + raw
    return {"base64": base64.b64encode(padded)[start:whole], "base64url": base64.urlsafe_b64encode(padded)[start:whole]}


class Scanner:
    """Looks for canaries in bytes. `find` returns which one was found, in which spelling."""

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._marks = list(list_spellings(MARK).values())
        self._spellings = {name: list_spellings(secret) for name, secret in canaries.items()}

    def find(self, haystack: bytes) -> list[str]:
        """Look for the mark first, which every spelling of every canary holds: most of what comes out has none."""
        if not any(mark in haystack for mark in self._marks):
            return []
        return [
            f"{name} ({spelling})"
            for name, spellings in self._spellings.items()
            for spelling, code in spellings.items()
            if code in haystack
        ]


class Ear(logging.Handler):
    """Hears every record of every logger, at DEBUG, as it was said: text, arguments, traceback, extra fields."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[tuple[bytes, logging.LogRecord]] = []

    def emit(self, record: logging.LogRecord) -> None:
        parts = [record.name, str(record.msg), repr(record.args), repr(getattr(record, "keydeck_fields", ""))]
        if record.exc_info and record.exc_info[1] is not None:
            parts += traceback.format_exception(record.exc_info[1])
        self.heard.append(("\n".join(parts).encode(), record))

    def list_heard(self, prefix: str) -> bytes:
        """Return what loggers of this name and below it said."""
        return b"\n".join(said for said, record in self.heard if record.name.startswith(prefix))

    def write_lines(self, formatter: logging.Formatter) -> bytes:
        """Return the lines as they would be written of every record in which something was said that bears the mark."""
        marks = list(list_spellings(MARK).values())
        return "\n".join(formatter.format(record) for said, record in self.heard if any(mark in said for mark in marks)).encode()


class RaisedTexts:
    """Collects the text, arguments and attributes of every exception that passes through a function of the app."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.texts: set[str] = set()

    def __enter__(self) -> Self:
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.settrace(None)

    def _enter_frame(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._folder):
            return None
        frame.f_trace_lines = False
        return self._watch

    def _watch(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception" and not isinstance(argument[1], _SIGNALS + _INPUT_BY_DESIGN):
            self.note(argument[1])
        return self._watch

    def note(self, error: BaseException) -> None:
        self.texts.add(f"{error} {error!r} {error.args!r} {getattr(error, '__dict__', {})!r} {error.__cause__!r}")


async def read_rows(database: Database) -> bytes:
    """Return every value of every table, as text."""
    async with database.read() as session:
        rows = [
            repr(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in await session.execute(text(f'SELECT * FROM "{table.name}"'))
        ]
    return "\n".join(rows).encode()


def read_files(folder: Path, *, except_for: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the bytes of every file below a folder: the database, its write-ahead log, the key ring."""
    skipped = frozenset(except_for)
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in skipped}
