"""Shows every component in every state at /dev/components: for developers and visual tests, only on a loopback address."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.web.errors import NotFound
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STATUSES = (
    "connected",
    "limited",
    "expiring",
    "waiting",
    "withdraw_enabled",
    "quarantined",
    "invalid_key",
    "key_expired",
    "ip_not_allowed",
    "account_blocked",
    "locked",
    "unavailable",
    "checking",
    "paused",
)


@dataclass(frozen=True, slots=True)
class _Grant:
    answer: str
    proof: str = "probed"
    call: str | None = "GET /spot/balance"


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    state: str
    detail: str = ""
    duration_ms: int | None = None


@router.get("/dev/components")
async def show_components(request: Request) -> HTMLResponse:
    """The gallery. Raises NotFound where Keydeck is reached by a public name."""
    if urlsplit(request.app.state.settings.public_url).hostname not in _LOOPBACK:
        raise NotFound
    pages: Pages = request.app.state.pages
    return pages.render(request, "gallery/components.html", **list_samples(pages.clock()), icons=pages.list_icons())


def list_samples(now: datetime) -> dict[str, Any]:
    """Return made-up values for every component."""
    return {
        "statuses": _STATUSES,
        "marks": [("Al", "alpha"), ("Be", "beta"), ("Ga", "gamma"), ("De", "delta")],
        "grants": {
            "attested": _Grant("no", "attested", None),
            "mixed": {
                "read": _Grant("yes"),
                "trade": _Grant("no"),
                "transfer": _Grant("yes", "told"),
                "withdraw": _Grant("no", "told"),
            },
            "unknown": {"read": _Grant("unknown", "none", None), "withdraw": _Grant("unknown", "none", None)},
        },
        "steps": [
            _Step("format", "passed", "24 and 32 characters"),
            _Step("reachable", "passed", "Answered", 84),
            _Step("clock", "warned", "This server’s clock differs by 3 s", 82),
            _Step("signature", "failed", "The exchange does not accept this key and secret", 121),
            _Step("permissions", "skipped"),
        ],
        "amounts": [
            ("BTC", Decimal("0.34120500"), Decimal("0.04000000")),
            ("USDT", Decimal("18250.10"), Decimal(0)),
            ("DOGE", Decimal(0), Decimal(0)),
        ],
        "earlier": now - timedelta(seconds=40),
        "later": now + timedelta(minutes=2),
    }
