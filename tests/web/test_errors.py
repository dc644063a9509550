"""Every failure becomes an answer a person or program can act on, and none of them repeats what was sent."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.web.errors import AnswerInterrupted
from tests.web.small_app import SECRET, make_app, make_client

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(make_app()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("missing", 404, "There is no such credential"),
        ("forbidden", 403, "It needs the operator role"),
        ("teapot", 429, "Too many attempts"),
        ("boom", 500, "The fault is on this server"),
    ],
)
async def test_pages_tell_what_is_wrong(client: httpx.AsyncClient, name: str, status: int, words: str) -> None:
    answer = await client.get(f"/fail/{name}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert words in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert 'class="focus"' in answer.text


@pytest.mark.parametrize("name", ["missing", "forbidden", "boom"])
async def test_signed_in_people_keep_their_sidebar(client: httpx.AsyncClient, name: str) -> None:
    page = (await client.get(f"/as/trader/fail/{name}")).text
    assert 'class="sidebar"' in page
    assert 'href="/balances"' in page
    assert 'href="/support"' not in page


async def test_the_api_answers_with_problem_documents(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/fail/teapot")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "30"
    assert answer.json() == {
        "type": "urn:keydeck:problem:rate_limited",
        "title": "Too many attempts",
        "status": 429,
        "code": "rate_limited",
        "detail": "",
        "who_acts": "trader",
        "next_step": "",
        "request_id": answer.headers["x-request-id"],
        "retry_after_seconds": 30,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/none", 404, "not_found"),
        ("DELETE", "/api/v1/things", 405, "method_not_allowed"),
        ("GET", "/api/v1/fail/private", 401, "sign_in_needed"),
        ("GET", "/api/v1/fail/boom", 500, "internal"),
    ],
)
async def test_api_failures_have_stable_codes(client: httpx.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (status, code, status)
    assert status != 401 or answer.headers["www-authenticate"] == 'Bearer realm="keydeck"'
    assert status != 405 or "POST" in answer.headers["allow"]


async def test_pages_lead_to_the_sign_in_and_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fail/private?a=1&b=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/fail/private%3Fa%3D1%26b%3D2")
    assert (await client.post("/fail/private")).headers["location"] == "/sign-in"


async def test_programs_that_ask_for_problem_documents_get_them_anywhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fail/missing", headers={"accept": "application/problem+json"})
    assert answer.json()["code"] == "not_found"


BAD_BODIES: list[tuple[Any, str]] = [
    (f'{{"kind": "{SECRET}"}}', "kind"),
    (f'{{"kind": "a", "secrets": {{"k": "{SECRET}"}}}}', "secrets.k"),
    (f'{{"kind": "a", "secrets": {{"{SECRET}": "x"}}}}', "secrets.…"),
    (f'{{"kind": "a", "label": "{SECRET}"}}', "label"),
    (f'"{SECRET}"', ""),
    (f'{{"kind": {SECRET}', ""),
    (f'{{"{SECRET}": 1}}', "kind"),
    (b"\xff\xfe" + SECRET.encode(), ""),
    (b"", ""),
    (b"[" * 5000, ""),
]


@pytest.mark.parametrize(("body", "place"), BAD_BODIES)
async def test_invalid_input_names_the_field_and_never_repeats_it(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, body: Any, place: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await client.post("/api/v1/things", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == "invalid_input"
    assert SECRET not in answer.text
    assert SECRET not in caplog.text
    if place:
        assert place in [".".join(map(str, error["loc"][1:])) for error in answer.json()["errors"]]
        assert all(set(error) == {"loc", "msg"} for error in answer.json()["errors"])


async def test_rules_of_our_own_are_told(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/things", json={"kind": "a", "label": "too long"})
    assert answer.json()["detail"] == "label: must have at most 5 characters"
    assert (await client.get("/api/v1/things?limit=1000")).json()[
        "detail"
    ] == "query.limit: Input should be less than or equal to 100"


@pytest.mark.parametrize("path", ["/fail/boom", "/api/v1/fail/boom"])
async def test_an_unexpected_error_is_logged_by_type_and_place_only(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await client.get(path)
    assert answer.status_code == 500
    assert "RuntimeError" not in answer.text
    lines = [record.getMessage() for record in caplog.records if record.name == "keydeck.web"]
    assert len(lines) == 1
    assert lines[0].startswith(f"unhandled RuntimeError in request {answer.headers['x-request-id']} at ")
    assert "small_app.py" in lines[0]
    assert SECRET not in caplog.text + answer.text


async def test_an_answer_that_breaks_off_carries_no_cause(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AnswerInterrupted) as caught:
        async with make_client(make_app()) as client:
            await client.get("/stream/broken")
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    assert "unhandled RuntimeError" in caplog.text
    assert SECRET not in caplog.text


async def test_a_broken_problem_page_still_answers(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    app = client._transport.app  # type: ignore[attr-defined]  # httpx keeps it there
    app.state.pages.environment.loader.searchpath = []
    app.state.pages.environment.cache.clear()
    answer = await client.get("/fail/missing")
    assert answer.status_code == 404
    assert "404" in answer.text
