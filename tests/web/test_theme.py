"""The theme: kept in a cookie, rendered by the server, and never a way to another site."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.web.theme import pick_local_path
from tests.web.small_app import make_app, make_client

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(make_app()) as opened:
        yield opened


@pytest.mark.parametrize(("theme", "mark"), [("light", ' data-theme="light"'), ("dark", ' data-theme="dark"'), ("system", "")])
async def test_a_choice_is_kept_and_rendered(client: httpx.AsyncClient, theme: str, mark: str) -> None:
    answer = await client.post(
        "/theme", data={"theme": theme, "back": "/dev/components?a=1"}, headers={"sec-fetch-site": "same-origin"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/dev/components?a=1")
    cookie = answer.headers["set-cookie"]
    assert f"keydeck_theme={theme};" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    page = (await client.get("/dev/components")).text
    assert f'<html lang="en"{mark}>' in page
    assert f'value="{theme}" title=' in page
    assert page.count('aria-pressed="true"') == 2  # the sidebar's switch and the gallery's


async def test_the_cookie_is_secure_over_https() -> None:
    async with make_client(make_app("https://keydeck.example.org"), base_url="https://keydeck.example.org") as client:
        answer = await client.post("/theme", data={"theme": "dark"})
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["location"] == "/"


async def test_an_unknown_theme_is_refused_and_an_odd_cookie_ignored(client: httpx.AsyncClient) -> None:
    assert (await client.post("/theme", data={"theme": "<b>"})).status_code == 400
    page = await client.get("/dev/components", headers={"cookie": 'keydeck_theme="><script>'})
    assert '<html lang="en">' in page.text


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("/credentials", "/credentials"),
        ("/credentials?q=a%20b&x=1", "/credentials?q=a%20b&x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/ü", "/"),
        ("", "/"),
    ],
)
def test_the_way_back_stays_here(asked: str, taken: str) -> None:
    assert pick_local_path(asked) == taken


async def test_the_gallery_is_for_developers() -> None:
    async with make_client(make_app("https://keydeck.example.org"), base_url="https://keydeck.example.org") as client:
        assert (await client.get("/dev/components")).status_code == 404
