"""The sandbox's pages: turned in the browser, met by the next check; and nowhere to be found on a public server."""

from typing import Any

import httpx
import pytest

from app.main import Outside, create_app
from app.settings import Settings
from tests.live.test_streams import connect_key
from tests.pages import open_page, submit
from tests.people import SignedIn

KEY = "/sandbox/hitbtc/read-only"


async def check_now(client: httpx.AsyncClient, credential_id: str) -> str:
    """Press Check now; return the status the page shows."""
    answer = await client.post(f"/credentials/{credential_id}/check")
    assert answer.status_code == 303
    page = await open_page(client, f"/credentials/{credential_id}")
    return page.find(cls="status-pill")[0].text


async def test_an_exchange_is_broken_and_mended_on_the_page(app: Any, signed_in: SignedIn) -> None:
    client = signed_in.client
    credential_id = await connect_key(app, client)
    form = (await open_page(client, "/sandbox")).form("/sandbox/hitbtc")
    answer = await submit(client, form, fault="maintenance")
    assert "maintenance" in answer.text
    assert await check_now(client, credential_id) == "Exchange unavailable"
    await submit(client, (await open_page(client, "/sandbox")).form("/sandbox/hitbtc"), fault="")
    assert await check_now(client, credential_id) == "Connected"
    refused = await submit(client, form, clock_ahead_seconds="soon")
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    assert (await submit(client, form, clock_ahead_seconds="360")).status_code == 200
    assert await check_now(client, credential_id) == "Connected"  # six minutes are learned and allowed for


async def test_a_keys_rights_are_changed_on_the_page_and_everything_is_put_back(app: Any, signed_in: SignedIn) -> None:
    client = signed_in.client
    credential_id = await connect_key(app, client)
    form = (await open_page(client, "/sandbox/hitbtc")).form(KEY)
    values = [*form.values.items()]
    granted = await client.post(KEY, data={**dict(values), "permissions": ["read", "transfer", "withdraw"]})
    assert granted.status_code == 303
    assert await check_now(client, credential_id) in ("Withdraw enabled", "In quarantine")
    refused = await client.post(KEY, data={**dict(values), "allowed_ips": "nowhere"})
    assert refused.status_code == 422
    assert "not an address" in refused.text
    balance = await client.post(f"{KEY}/balance", data={"account": "spot", "asset": "btc", "available": "1.5"})
    assert balance.status_code == 303
    assert app.state.sandbox.state.sandbox.find_key("hitbtc", "read-only").customer.accounts[0].holdings["BTC"].available > 1
    assert (await client.post("/sandbox/reset")).status_code == 303
    assert await check_now(client, credential_id) == "Connected"


async def test_recorded_calls_are_shown(app: Any, signed_in: SignedIn) -> None:
    await connect_key(app, signed_in.client)
    page = await open_page(signed_in.client, "/sandbox/calls?exchange=hitbtc&scenario=read-only")
    assert "/api/3/spot/balance" in page.text
    assert (await open_page(signed_in.client, "/sandbox/calls?exchange=htx")).text.endswith("Nothing was asked yet.")


async def test_scripts_turn_the_same_switches(app: Any, client: httpx.AsyncClient) -> None:
    answer = await client.patch("/_sandbox/exchanges/htx", json={"fault": "slow"})
    assert (answer.status_code, answer.json()["fault"]) == (200, "slow")
    assert app.state.sandbox.state.sandbox.find_weather("htx").fault == "slow"
    assert (await client.patch("/_sandbox/exchanges/htx", json={"fault": None})).status_code == 200


async def test_unknown_places_and_strangers(signed_in: SignedIn, make_client: Any) -> None:
    client = signed_in.client
    for path in ("/sandbox/none", "/sandbox/hitbtc/none"):
        assert (await client.post(path, data={"fault": ""})).status_code == 404
    assert (await client.get("/sandbox/none")).status_code == 404
    assert (await client.post(f"{KEY}/balance", data={"account": "none", "asset": "BTC"})).status_code == 404
    async with make_client() as stranger:
        assert (await stranger.get("/sandbox")).status_code == 303


@pytest.mark.parametrize("change", [{"sandbox": "off"}, {"public_url": "https://keydeck.example.org"}])
async def test_a_public_server_has_no_switches(settings: Settings, outside: Outside, change: dict[str, str]) -> None:
    app = create_app(settings.model_copy(update=change), outside=outside)
    async with app.router.lifespan_context(app):
        origin = change.get("public_url", settings.public_url)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin, headers={"Origin": origin}) as client:
            for path in ("/sandbox", "/sandbox/hitbtc", "/_sandbox/", "/_sandbox/calls"):
                assert (await client.get(path)).status_code == 404, path
            assert (await client.patch("/_sandbox/exchanges/htx", json={"fault": "slow"})).status_code == 404
