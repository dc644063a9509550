"""The page that says what Keydeck asks each exchange: for everyone signed in, the same as the document."""

from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.exchanges.registry import find_adapters
from tests.accounts.doors import add_person, sign_in
from tests.pages import open_page
from tests.people import SignedIn


async def test_the_page_names_every_call_and_how_rights_are_known(signed_in: SignedIn, app: Any) -> None:
    page = await open_page(signed_in.client, "/exchanges")
    assert page.status == 200
    assert page.heading == "What Keydeck asks each exchange"
    rows = [row.attributes["data-call"] for row in page.find(tag="tr", data_call="*")]
    assert sorted(rows) == sorted(call.label for kind in find_adapters().values() for call in kind.calls)
    withdrawal = next(row for row in page.find(tag="tr", data_call="POST /api/gateway/withdraw/create"))
    assert "never asked" in withdrawal.text
    assert app.state.exchanges.list_all()[0].limits in page.text
    connect = await open_page(signed_in.client, "/credentials/connect")
    assert "/exchanges" in connect.links.values()


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_finds_the_page_and_the_sandboxs(app: Any, client: httpx.AsyncClient, role: Role) -> None:
    await add_person(app, "one@example.org", role)
    await sign_in(client, "one@example.org")
    links = (await open_page(client, "/activity")).links
    for path in ("/exchanges", "/sandbox"):
        assert path in links.values()
        assert (await client.get(path)).status_code == 200


async def test_the_page_is_for_people_who_are_signed_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/exchanges")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


class TestFewExchanges:
    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"exchanges": ("htx",), "sandbox": "off"})

    async def test_without_the_sandbox_nothing_links_to_it(self, signed_in: SignedIn) -> None:
        links = (await open_page(signed_in.client, "/exchanges")).links
        assert "/exchanges" in links.values()
        assert "/sandbox" not in links.values()

    async def test_only_what_is_offered_is_shown(self, signed_in: SignedIn) -> None:
        page = await open_page(signed_in.client, "/exchanges")
        shown = {element.text for element in page.find(tag="h2")}
        assert shown == {"HTX"}
