"""On a public address support and operators get nothing but the set-up page until they have a second factor."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from app.main import Outside, create_app
from app.settings import Settings
from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import PASSWORD, Unit, add_person, sign_in
from tests.accounts.factors import add_passkey, set_up_app
from tests.pages import Page

PUBLIC = "https://keydeck.example.org"
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": PUBLIC})


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, client=("198.51.100.7", 50000))
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": PUBLIC}
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC, headers=headers) as opened:
        yield opened


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.OPERATOR])
async def test_staff_get_nothing_but_the_set_up(app: Any, client: httpx.AsyncClient, clock: Any, role: Role) -> None:
    user = await add_person(app, "help@example.org", role, Role.TRADER)
    await sign_in(client, user.email)
    for path in ("/", "/support", "/credentials", "/security", "/activity", "/exchanges", "/people", "/credentials/connect/htx"):
        asked = await client.get(path)
        assert asked.status_code == 303, path
        assert asked.headers["location"] == "/security/two-step", path
    assert (await client.get("/api/v1/account")).json()["code"] == "factor_needed"
    page = Page(await client.get("/security/two-step"))
    assert "Your role needs one" in page.text
    phone, codes = await set_up_app(client, clock)
    assert len(codes) == 10
    assert (await client.get("/support")).status_code == 200
    assert (await client.get("/api/v1/account")).status_code == 200
    await client.post("/sign-out")
    half = await sign_in(client, user.email)
    assert half.headers["set-cookie"].startswith("__Host-keydeck_pending=")
    assert "Secure" in half.headers["set-cookie"]
    assert (await client.get("/support")).headers["location"].startswith("/sign-in")
    assert (await client.post("/sign-in/code", data={"code": phone.show(clock())})).status_code == 303
    assert "__Host-keydeck_pending" not in client.cookies
    assert (await client.post("/security/two-step/app/remove")).status_code == 409
    assert (await client.get("/support")).status_code == 200


async def test_tokens_of_staff_owe_the_factor_too(app: Any, client: httpx.AsyncClient, clock: Any) -> None:
    """Made on the command line, before the role, or left when the factors went: none of them opens what a browser may not."""
    user = await add_person(app, "help@example.org", Role.SUPPORT, Role.TRADER)
    async with Unit(app) as accounts:
        token = (await accounts.create_token(user.id, name="report")).token.reveal()
    program = {"Authorization": f"Bearer {token}"}
    paths = ("/api/v1/support/credentials?q=one@example.org&ticket=1", "/api/v1/credentials", "/api/v1/account")

    async def ask_all() -> list[int]:
        client.cookies.clear()
        return [(await client.get(path, headers=program)).status_code for path in paths]

    refused = await client.get(paths[0], headers=program)
    assert (refused.status_code, refused.json()["code"]) == (403, "factor_needed")
    assert refused.headers["content-type"] == "application/problem+json"
    assert await ask_all() == [403] * 3, "the trader's half of them too: it is one account"
    await sign_in(client, user.email)
    await set_up_app(client, clock)
    assert await ask_all() == [200] * 3
    async with Unit(app) as accounts:
        link = (await accounts.make_link(user.id, kind="factors", way="command")).link
    form = {"token": link.split("token=")[1], "password": PASSWORD}
    assert (await client.post("/factor-reset", data=form)).status_code == 303
    assert await ask_all() == [403] * 3
    async with Unit(app) as accounts:
        await accounts.set_roles(user.id, roles=[Role.TRADER])
    assert await ask_all() == [403, 200, 200], "a trader needs none"


async def test_a_development_instance_asks_no_factor_of_tokens(settings: Settings, outside: Outside) -> None:
    own = settings.model_copy(update={"public_url": "http://127.0.0.1:8000"})
    app = create_app(own, outside=outside)
    async with app.router.lifespan_context(app):
        user = await add_person(app, "help@example.org", Role.SUPPORT)
        async with Unit(app) as accounts:
            token = (await accounts.create_token(user.id, name="report")).token.reveal()
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as program:
            answer = await program.get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200


async def test_a_name_of_this_machine_alone_does_not_make_it_one(settings: Settings, outside: Outside) -> None:
    """What listens to the network is asked by whoever names localhost in the request, whatever the address people open."""
    reachable = settings.model_copy(update={"public_url": "https://localhost", "host": "0.0.0.0", "sandbox": "on"})
    app = create_app(reachable, outside=outside)
    async with app.router.lifespan_context(app):
        user = await add_person(app, "help@example.org", Role.SUPPORT)
        transport = httpx.ASGITransport(app=app, client=("198.51.100.7", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost", headers=FROM_HERE) as stranger:
            await sign_in(stranger, user.email)
            assert (await stranger.get("/support")).headers["location"] == "/security/two-step"
            assert (await stranger.get("/sandbox")).status_code == 404
            assert (await stranger.get("/_sandbox/calls")).status_code == 404


async def test_a_passkey_will_do_and_the_last_one_stays(app: Any, client: httpx.AsyncClient) -> None:
    user = await add_person(app, "help@example.org", Role.SUPPORT)
    await sign_in(client, user.email)
    first = Authenticator(origin=PUBLIC)
    made = await add_passkey(client, first)
    assert 'href="/support"' in made.text
    assert (await client.get("/support")).status_code == 200
    async with Unit(app) as accounts:
        (found,) = (await accounts.list_factors(user.id)).passkeys
    refused = await client.post(f"/security/passkeys/{found.id}/remove")
    assert refused.status_code == 409
    assert "Your role needs a second factor" in refused.text
    await add_passkey(client, Authenticator(origin=PUBLIC, credential_id=b"second"))
    assert (await client.post(f"/security/passkeys/{found.id}/remove")).status_code == 303


async def test_a_trader_needs_none(app: Any, client: httpx.AsyncClient) -> None:
    user = await add_person(app, "one@example.org", Role.TRADER)
    await sign_in(client, user.email)
    assert (await client.get("/credentials")).status_code == 200
