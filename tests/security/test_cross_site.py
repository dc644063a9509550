"""Every unsafe route, enumerated from the app object, against every way a request may come: only our own pages pass."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.settings import Settings
from tests.accounts.doors import PASSWORD, add_person
from tests.conftest import ORIGIN
from tests.people import SignedIn
from tests.security.routes import list_unsafe

pytestmark = pytest.mark.anyio
Headers = list[tuple[str, str]]
# each way with the headers that say where the request comes from; a session cookie is always with it
REFUSED: dict[str, Headers] = {
    "another site": [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
    "another site that claims our origin": [("Sec-Fetch-Site", "cross-site"), ("Origin", ORIGIN)],
    "a neighbour under the same domain": [("Sec-Fetch-Site", "same-site"), ("Origin", "http://127.0.0.1:9000")],
    "typed into the address bar": [("Sec-Fetch-Site", "none")],
    "an old browser, from another site": [("Origin", "https://evil.example")],
    "an old browser, from nowhere": [("Origin", "null")],
    "an old browser, wrong scheme": [("Origin", ORIGIN.replace("http", "https"))],
    "an old browser, wrong port": [("Origin", ORIGIN.replace(":8000", ":8001"))],
    "an old browser, no port": [("Origin", ORIGIN.replace(":8000", ""))],
    "an old browser, a longer name": [("Origin", ORIGIN + ".evil.example")],
    "an old browser, our name as a user": [("Origin", ORIGIN + "@evil.example")],
    "an old browser that says nothing": [],
    "only a referrer": [("Referer", ORIGIN + "/credentials")],
    "an empty origin": [("Origin", "")],
    "an empty site": [("Sec-Fetch-Site", "")],
    "an unknown site": [("Sec-Fetch-Site", "same-planet")],
    "two sites": [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    "two origins": [("Origin", ORIGIN), ("Origin", "https://evil.example")],
    "two origins in one": [("Origin", f"{ORIGIN}, https://evil.example")],
    "a token beside the cookie": [("Authorization", "Bearer kd_made-up"), ("Origin", "https://evil.example")],
}
OWN_SITE = ("Sec-Fetch-Site", "same-origin")
OTHER_ORIGINS = {
    "another site": "https://evil.example",
    "nowhere": "null",
    "nothing": "",
    "our name, wrong scheme": ORIGIN.replace("http", "https"),
    "our name, wrong port": ORIGIN.replace(":8000", ":8001"),
    "a longer name": ORIGIN + ".evil.example",
    "our name as a user": ORIGIN + "@evil.example",
    "two in one": f"{ORIGIN}, https://evil.example",
}
# the two headers say different things: then neither is believed
REFUSED |= {f"our own site, but the origin is {who}": [OWN_SITE, ("Origin", origin)] for who, origin in OTHER_ORIGINS.items()}
REFUSED |= {
    f"our own origin, but the site is {site!r}": [("Sec-Fetch-Site", site), ("Origin", ORIGIN)]
    for site in ("same-site", "none", "", "same-planet", "Same-Origin", "same-origin, cross-site")
}
REFUSED["our own site, two origins"] = [OWN_SITE, ("Origin", ORIGIN), ("Origin", "https://evil.example")]
# an Authorization header with each of them makes no page's form a program's call
BY_TOKEN: dict[str, Headers] = {
    f"{way}, with {token!r}": [*headers, ("Authorization", token)]
    for way, headers in REFUSED.items()
    for token in ("Bearer x", "Bearer kd_made-up", "Basic eA==")
    if not any(name == "Authorization" for name, _ in headers)
}
PASSED: dict[str, Headers] = {
    "our own page": [("Sec-Fetch-Site", "same-origin"), ("Origin", ORIGIN)],
    "our own page without an origin": [("Sec-Fetch-Site", "same-origin")],
    "an old browser, our own page": [("Origin", ORIGIN)],
}


async def send(app: Any, method: str, path: str, *, headers: Headers, cookie: str = "") -> httpx.Response:
    """Send an empty form with exactly these headers."""
    given = [*headers, ("Content-Type", "application/x-www-form-urlencoded")] + ([("Cookie", cookie)] if cookie else [])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as bare:
        return await bare.request(method, path, headers=given)


def cookie_of(signed_in: SignedIn) -> str:
    return "; ".join(f"{name}={value}" for name, value in signed_in.client.cookies.items())


async def test_every_unsafe_route_is_found(app: Any) -> None:
    found = list_unsafe(app)
    assert ("POST", "/sign-in") in found
    assert ("DELETE", "/api/v1/credentials/made_up_0") in found
    assert len(found) >= 30


async def test_nothing_but_our_own_pages_changes_anything(app: Any, signed_in: SignedIn) -> None:
    cookie = cookie_of(signed_in)
    wrong = []
    for (method, path), (way, headers) in itertools.product(list_unsafe(app), REFUSED.items()):
        answer = await send(app, method, path, headers=headers, cookie=cookie)
        if answer.status_code != 403 or "This request came from another site" not in answer.text:
            wrong.append((method, path, way, answer.status_code))
    assert wrong == []
    assert (await signed_in.client.get("/credentials")).status_code == 200, "still signed in: nothing was done"


async def test_our_own_pages_pass(app: Any, signed_in: SignedIn) -> None:
    """What passes is then judged by its route: found, refused for its input, never as coming from another site."""
    cookie = cookie_of(signed_in)
    wrong = []
    routes = sorted(list_unsafe(app), key=lambda route: route[1] == "/sign-out")  # last, it ends the session
    for (method, path), (way, headers) in itertools.product(routes, PASSED.items()):
        answer = await send(app, method, path, headers=headers, cookie=cookie)
        if answer.status_code >= 500 or "another site" in answer.text:
            wrong.append((method, path, way, answer.status_code))
    assert wrong == []


async def test_a_page_form_without_a_cookie_must_come_from_us_too(app: Any) -> None:
    """Or another site could sign a visitor in to an account of its own, and watch what they connect there."""
    for method, path in list_unsafe(app):
        if path.startswith("/api/"):
            continue
        for way, headers in (REFUSED | BY_TOKEN).items():
            answer = await send(app, method, path, headers=headers)
            assert answer.status_code == 403, (method, path, way)
            assert "set-cookie" not in answer.headers


async def test_another_site_signs_nobody_in_by_a_made_up_token(app: Any) -> None:
    """With the right password, too: the session would be the attacker's, in the visitor's browser."""
    await add_person(app, "trader@example.org", Role.TRADER)
    form = {"email": "trader@example.org", "password": PASSWORD}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as bare:
        for headers in ([], REFUSED["another site"], REFUSED["our own site, but the origin is nowhere"]):
            answer = await bare.post("/sign-in", data=form, headers=[*headers, ("Authorization", "Bearer x")])
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert (await bare.post("/sign-in", data=form, headers=PASSED["our own page"])).status_code == 303


async def test_a_program_is_judged_by_its_token(app: Any) -> None:
    """Without a cookie nothing is done in anybody's name: the API asks such a request for its token."""
    ways = [[], [("Authorization", "Bearer kd_made-up")], [("Authorization", "Bearer x"), *REFUSED["another site"]]]
    for (method, path), headers in itertools.product(list_unsafe(app), ways):
        if path.startswith("/api/"):
            assert (await send(app, method, path, headers=headers)).status_code == 401, (path, headers)


@pytest.mark.parametrize("number", range(4))
async def test_malformed_headers_are_refused_and_break_nothing(app: Any, signed_in: SignedIn, number: int) -> None:
    cookie = cookie_of(signed_in)
    chance = random.Random(number)
    parts = [
        "http://",
        "https://",
        "127.0.0.1",
        ":8000",
        ":",
        "[",
        "]",
        "@",
        "/",
        "\\",
        "%00",
        "\t",
        "é",
        "null",
        ",",
        " ",
        "::1",
        ":99999999",
    ]
    for method, path in list_unsafe(app):
        for name in ("origin", "sec-fetch-site", "host"):
            text = "".join(chance.choices(parts, k=chance.randint(1, 6))) + "x"
            request = httpx.Request(method, ORIGIN + path, headers={"cookie": cookie})
            kept = [(key, value) for key, value in request.headers.raw if key.lower() != name.encode()]
            request.headers = httpx.Headers([*kept, (name.encode(), text.encode())])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as bare:
                answer = await bare.send(request)
            assert answer.status_code in (400, 403), (method, path, name, text)


@pytest.fixture
def make_https_app(settings: Settings, outside: Any) -> Callable[[], Any]:
    from app.main import create_app

    return lambda: create_app(settings.model_copy(update={"public_url": "https://keydeck.example.org"}), outside=outside)


async def test_under_https_only_the_set_address_is_ours(make_https_app: Callable[[], Any]) -> None:
    app = make_https_app()
    own = "https://keydeck.example.org"
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://keydeck.example.org") as bare,
    ):
        for origin, passes in (
            (own, True),
            (own + ":443", True),
            (own.replace("https", "http"), False),
            ("http://keydeck.example.org:80", False),
            (own + ":8443", False),
            ("https://127.0.0.1:8000", False),
            ("null", False),
        ):
            answer = await bare.post("/theme", data={"theme": "dark"}, headers={"Origin": origin})
            assert answer.status_code == (303 if passes else 403), origin
