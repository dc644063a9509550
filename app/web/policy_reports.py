"""Hears of what a browser kept a page from doing: each report is an attack, a broken page or a browser's extension.

Anyone may send reports, so they are small, few and plain: a known directive and two short words get into a log line,
never an address's query, and what comes too often is only counted.
"""

import logging
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic_core import from_json

from app.web.errors import Problem

REPORTS_PATH = "/policy-reports"
LARGEST_BYTES = 8 * 1024
LINES_PER_WINDOW = 20
WINDOW = timedelta(minutes=1)
_PLACES = frozenset({"inline", "eval", "self", "data", "blob", "wasm-eval", "trusted-types-sink", "trusted-types-policy"})
_DIRECTIVE = re.compile(r"[a-z][a-z-]{0,40}")
_PATH = re.compile(r"[A-Za-z0-9/_.-]{1,100}")
_log = logging.getLogger("keydeck.policy")
router = APIRouter(include_in_schema=False)


class PolicyReports:
    """Counts the reports of one app, and lets a few of them a minute into the log."""

    def __init__(self) -> None:
        self.total = 0
        self._window_start: datetime | None = None
        self._lines = 0

    def note(self, directive: str, *, blocked: str, page: str, now: datetime) -> None:
        """Count a report, and write it down unless there were too many of them in this minute."""
        self.total += 1
        if self._window_start is None or now - self._window_start >= WINDOW:
            self._window_start, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES_PER_WINDOW:
            _log.warning("a browser refused %s (%s) on %s", directive, blocked, page)
        elif self._lines == LINES_PER_WINDOW + 1:
            _log.warning("more reports of browsers in this minute are only counted")


@router.post(REPORTS_PATH)
async def take_report(request: Request) -> Response:
    """Take a browser's report of a broken content policy. Raises Problem for anything else."""
    body = await request.body()
    if len(body) > LARGEST_BYTES:
        raise _refuse("It is larger than any report of a browser.", status=413)
    report = parse_report(body)
    reports: PolicyReports = request.app.state.policy_reports
    reports.note(report["directive"], blocked=report["blocked"], page=report["page"], now=request.app.state.clock())
    return Response(status_code=204)


def parse_report(body: bytes) -> dict[str, str]:
    """Return directive, what was blocked, and on which page, each as a short plain word. Raises Problem (400)."""
    try:
        document = from_json(body)  # its errors, unlike those of json, do not carry the text along
    except ValueError:
        raise _refuse("It is not JSON.") from None
    report = document.get("csp-report") if isinstance(document, dict) else None
    if not isinstance(report, dict):
        raise _refuse("It has no csp-report.")
    directive = _read_text(report, "effective-directive") or _read_text(report, "violated-directive").partition(" ")[0]
    if not _DIRECTIVE.fullmatch(directive):
        raise _refuse("It names no directive.")
    return {
        "directive": directive,
        "blocked": _name_source(_read_text(report, "blocked-uri")),
        "page": _name_path(_read_text(report, "document-uri")),
    }


def _read_text(report: dict[str, Any], name: str) -> str:
    value = report.get(name)
    return value if isinstance(value, str) else ""


def _name_source(address: str) -> str:
    """Return a known word, or the kind of address: the rest of it is the sender's."""
    if address in _PLACES:
        return address
    scheme = address.partition(":")[0]
    return scheme if scheme in ("http", "https", "data", "blob") else "something else"


def _name_path(address: str) -> str:
    """Return the page's path without its query, which may hold a one-time token."""
    try:
        path = urlsplit(address).path
    except ValueError:
        path = ""
    return path if _PATH.fullmatch(path) else "a page"


def _refuse(detail: str, *, status: int = 400) -> Problem:
    return Problem(
        "invalid_input",
        status=status,
        title="This is no report of a browser",
        detail=detail,
        next_step="Nothing needs to be done.",
    )
