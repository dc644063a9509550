"""Reports of browsers about a broken content policy: taken from our own pages, few, small, and plain in the log."""

import json
import logging
from typing import Any

import httpx
import pytest

from app.web.policy_reports import LINES_PER_WINDOW, REPORTS_PATH, parse_report
from tests.conftest import FakeClock

pytestmark = pytest.mark.anyio
TOKEN = "one-time-token-in-the-query"


def write(**changes: Any) -> bytes:
    """Write a report as Chromium does."""
    report = {
        "document-uri": f"http://127.0.0.1:8000/setup?token={TOKEN}",
        "referrer": "",
        "violated-directive": "script-src-elem",
        "effective-directive": "script-src-elem",
        "original-policy": "default-src 'none'",
        "disposition": "enforce",
        "blocked-uri": "inline",
        "status-code": 200,
        "script-sample": "alert('canary-sample')",
    }
    return json.dumps({"csp-report": {**report, **changes}}).encode()


async def send(client: httpx.AsyncClient, body: bytes) -> int:
    answer = await client.post(REPORTS_PATH, content=body, headers={"Content-Type": "application/csp-report"})
    return answer.status_code


async def test_a_report_becomes_one_plain_line(app: Any, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="keydeck.policy"):
        assert await send(client, write()) == 204
    assert [record.getMessage() for record in caplog.records if record.name == "keydeck.policy"] == [
        "a browser refused script-src-elem (inline) on /setup"
    ]
    assert TOKEN not in caplog.text
    assert "canary-sample" not in caplog.text
    assert app.state.policy_reports.total == 1


async def test_a_flood_is_counted_and_not_written(
    app: Any, client: httpx.AsyncClient, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="keydeck.policy"):
        for _ in range(100):
            assert await send(client, write()) == 204
        assert len(caplog.records) == LINES_PER_WINDOW + 1
        assert "only counted" in caplog.text
        clock.advance(minutes=1)
        await send(client, write())
        assert len(caplog.records) == LINES_PER_WINDOW + 2
    assert app.state.policy_reports.total == 101


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"null", 400),
        (b"[]", 400),
        (b"[" * 8000, 400),
        (b'{"csp-report": 1}', 400),
        (b'{"csp-report": {}}', 400),
        (write(**{"effective-directive": "not a directive\n", "violated-directive": ""}), 400),
        (write(**{"effective-directive": 7, "violated-directive": ["x"]}), 400),
        (write(**{"script-sample": "x" * 9000}), 413),
        (b"x" * 70_000, 413),
    ],
)
async def test_what_is_no_report_is_refused_and_a_right_one_passes(
    app: Any, client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    assert await send(client, body) == status
    assert app.state.policy_reports.total == 0
    assert await send(client, write()) == 204


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("inline", "inline"),
        ("eval", "eval"),
        ("trusted-types-sink", "trusted-types-sink"),
        ("https://evil.example/steal?key=canary", "https"),
        ("data", "data"),
        ("\x1b[31mred", "something else"),
        ("", "something else"),
    ],
)
def test_what_was_blocked_is_named_by_its_kind(address: str, shown: str) -> None:
    assert parse_report(write(**{"blocked-uri": address}))["blocked"] == shown


@pytest.mark.parametrize("page", ["http://[", "http://x/\n/forged line", "http://x/" + "a" * 500, 7, None])
def test_an_odd_page_gets_no_name(page: Any) -> None:
    assert parse_report(write(**{"document-uri": page}))["page"] == "a page"


async def test_another_site_cannot_report(client: httpx.AsyncClient) -> None:
    answer = await client.post(REPORTS_PATH, content=write(), headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_signing_out_clears_what_the_browser_kept(signed_in: Any) -> None:
    answer = await signed_in.client.post("/sign-out")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert "keydeck_session" not in signed_in.client.cookies
    assert "clear-site-data" not in (await signed_in.client.get("/sign-in")).headers
