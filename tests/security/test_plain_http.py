"""Started beyond loopback without https by its own setting: every page says so, and no exchange key is taken."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.commands.unsafe_starts import find_danger
from app.sandbox.keys import list_keys
from app.settings import Settings
from tests.accounts.factors import set_up_app
from tests.pages import Page, open_page
from tests.people import SignedIn

BANNER = "This Keydeck is open without https"
KEY = next(key for key in list_keys() if (key.exchange, key.scenario) == ("htx", "read-only"))
pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same settings, but listening to the whole network."""
    return settings.model_copy(update={"host": "0.0.0.0", "allow_plain_http": "on"})


@pytest.fixture
async def signed_in(signed_in: SignedIn, clock: Any) -> SignedIn:
    """With a second factor, which a server that others reach asks of operators."""
    await set_up_app(signed_in.client, clock)
    return signed_in


def says_so(page: Page) -> bool:
    return BANNER in page.html


async def test_every_page_says_so(settings: Settings, signed_in: SignedIn, make_client: Callable[[], httpx.AsyncClient]) -> None:
    assert find_danger(settings, environ={}, is_dev_mode=False) is None
    for path in ("/credentials", "/balances", "/activity", "/security", "/operations", "/exchanges", "/nowhere"):
        assert says_so(await open_page(signed_in.client, path)), path
    async with make_client() as stranger:
        assert says_so(await open_page(stranger, "/sign-in"))


async def test_no_key_can_be_typed_in_or_sent(signed_in: SignedIn, app: object) -> None:
    for path in ("/credentials/connect", "/credentials/connect/htx", "/credentials/crd_1/replace"):
        page = await open_page(signed_in.client, path)
        assert (page.status, page.heading) == (403, "Connecting is switched off over plain http")
        assert page.find(tag="input", name="secret_key", hidden=True) == []
    form = {"environment": "sandbox", "plan": KEY.plan, "label": "x", **KEY.show_secrets()}
    assert (await signed_in.client.post("/credentials/connect/htx", data=form)).status_code == 403
    assert (await signed_in.client.post("/credentials/crd_1/replace", data=form)).status_code == 403
    body = {"exchange": "htx", "environment": "sandbox", "plan": KEY.plan, "secrets": KEY.show_secrets()}
    for verb, path in (("POST", "/api/v1/credentials"), ("PUT", "/api/v1/credentials/crd_1/secrets")):
        answer = await signed_in.client.request(verb, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "plain_http")
    assert (await signed_in.client.get("/api/v1/credentials")).json()["items"] == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"host": "127.0.0.5"}, False),
        ({"host": "localhost", "public_url": "http://[::1]:8000"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "192.0.2.7"}, True),
        ({"public_url": "http://keydeck.lan"}, True),
        ({"public_url": "http://localhost.example.org"}, True),
        ({"public_url": "https://keydeck.example.org"}, False),
        ({"host": "0.0.0.0", "public_url": "https://keydeck.example.org"}, False),
    ],
)
def test_what_counts_as_plain_http_beyond_this_machine(values: dict[str, str], expected: bool) -> None:
    assert Settings(**values).is_plain_beyond_loopback is expected


async def test_on_loopback_there_is_no_banner_and_keys_are_taken(
    make_client: Callable[[], httpx.AsyncClient], signed_in: SignedIn
) -> None:
    settings: Settings = signed_in.client._transport.app.state.settings  # type: ignore[attr-defined]
    assert settings.is_plain_beyond_loopback
    object.__setattr__(settings, "host", "127.0.0.1")
    form = {"environment": "sandbox", "plan": KEY.plan, "label": "x", **KEY.show_secrets()}
    answer = await signed_in.client.post("/credentials/connect/htx", data=form)
    assert answer.headers["location"].startswith("/credentials/crd_")
