"""Forms: what is read, what is refused, and that nothing sent is repeated."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.web.errors import Problem
from app.web.forms import MAX_FIELDS, Form, parse_urlencoded
from tests.web.small_app import SECRET, make_app, make_client

pytestmark = pytest.mark.anyio
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(make_app()) as opened:
        yield opened


async def test_both_kinds_of_forms_are_read(client: httpx.AsyncClient) -> None:
    plain = await client.post("/form", data={"label": "Grün & <b>", "empty": "", "choice": ["one", "two"]})
    parts = await client.post(
        "/form",
        files=[
            (name, (None, value))
            for name, value in [("label", "Grün & <b>"), ("empty", ""), ("choice", "one"), ("choice", "two")]
        ],
    )
    assert (
        plain.json()
        == parts.json()
        == {"fields": {"label": "Grün & <b>", "empty": "", "choice": "two"}, "choices": ["one", "two"]}
    )


async def test_a_form_without_fields_is_empty(client: httpx.AsyncClient) -> None:
    assert (await client.post("/form")).json() == {"fields": {}, "choices": []}
    assert (await client.post("/form", headers=URLENCODED)).json() == {"fields": {}, "choices": []}
    assert (
        await client.post("/form", content=b"a=1", headers={"content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"})
    ).json()["fields"]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "", "x", "multipart/mixed; boundary=b"])
async def test_other_content_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post("/form", content=f'{{"secret": "{SECRET}"}}'.encode(), headers={"content-type": kind})
    assert answer.status_code == 415
    assert SECRET not in answer.text


BROKEN = [
    (b"a=\xff", "application/x-www-form-urlencoded"),
    (b"a=%ff", "application/x-www-form-urlencoded"),
    (b"a=%00", "application/x-www-form-urlencoded"),
    (b"%00=a", "application/x-www-form-urlencoded"),
    (b"&".join(b"a=1" for _ in range(MAX_FIELDS + 1)), "application/x-www-form-urlencoded"),
    (b"no boundary", "multipart/form-data"),
    (b"not parts", "multipart/form-data; boundary=b"),
    (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    (b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b"),
]


@pytest.mark.parametrize(("body", "kind"), BROKEN)
async def test_broken_forms_are_refused(client: httpx.AsyncClient, body: bytes, kind: str) -> None:
    answer = await client.post("/form", content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert "cannot be read" in answer.text


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=MAX_FIELDS))
@settings(max_examples=60, deadline=None)
def test_what_is_sent_is_what_is_read(pairs: list[tuple[str, str]]) -> None:
    assert parse_urlencoded(urlencode(pairs).encode()) == pairs


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Problem):
        pairs = parse_urlencoded(body)
        assert all(isinstance(part, str) for pair in pairs for part in pair)


def test_a_form_is_not_printed() -> None:
    assert SECRET not in repr(Form([("secret", SECRET)]))
