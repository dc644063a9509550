"""Who gets in with what: sessions end when they should, tokens do what their scopes and their owner's roles allow."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.accounts.current_user import ApiBalances, ApiManage, ApiStatus, ApiSupport, PageSupport, PageTrader
from app.accounts.roles import Role, Scope
from tests.accounts.doors import COOKIE, PASSWORD, Unit, add_person, count_rows, sign_in

MakeClient = Callable[[], httpx.AsyncClient]
CALLS = {
    "status": Scope.STATUS_READ,
    "balances": Scope.BALANCES_READ,
    "manage": Scope.CREDENTIALS_MANAGE,
    "support": Scope.SUPPORT_READ,
}


@pytest.fixture
def doors(app: Any) -> Any:
    """The app with a bare route behind each dependency."""

    async def status(principal: ApiStatus) -> str:
        return principal.email

    async def balances(principal: ApiBalances) -> str:
        return principal.email

    async def manage(principal: ApiManage) -> str:
        return principal.email

    async def support(principal: ApiSupport) -> str:
        return principal.email

    async def trader_page(principal: PageTrader) -> str:
        return principal.email

    async def support_page(principal: PageSupport) -> str:
        return principal.email

    for call in (status, balances, manage, support):
        app.add_api_route(f"/api/v1/door/{call.__name__}", call, methods=["GET", "POST"])
    app.add_api_route("/door/trader", trader_page)
    app.add_api_route("/door/support", support_page)
    return app


async def make_token(app: Any, user_id: str, *scopes: Scope, days: int | None = None) -> tuple[str, dict[str, str]]:
    async with Unit(app) as accounts:
        issued = await accounts.create_token(user_id, name="program", scopes=scopes or None, expires_in_days=days)
    return issued.view.id, {"Authorization": f"Bearer {issued.token.reveal()}"}


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_token_opens_its_scope_and_no_other(doors: Any, client: httpx.AsyncClient, scope: Scope) -> None:
    user = await add_person(doors, "all@example.org", Role.TRADER, Role.SUPPORT)
    _, headers = await make_token(doors, user.id, scope)
    for name, needed in CALLS.items():
        for method in ("GET", "POST"):
            answer = await client.request(method, f"/api/v1/door/{name}", headers=headers)
            assert answer.status_code == (200 if needed is scope else 403), name
            if answer.status_code == 403:
                assert answer.json()["code"] == "forbidden"


async def test_a_role_taken_away_counts_at_once(doors: Any, client: httpx.AsyncClient) -> None:
    user = await add_person(doors, "all@example.org", Role.TRADER, Role.SUPPORT)
    _, headers = await make_token(doors, user.id)
    await sign_in(client, user.email)
    assert (await client.get("/door/trader")).status_code == 200
    async with Unit(doors) as accounts:
        await accounts.set_roles(user.id, roles=[Role.SUPPORT])
    assert (await client.get("/api/v1/door/status", headers=headers)).status_code == 403
    assert (await client.get("/api/v1/door/support", headers=headers)).status_code == 200
    assert (await client.get("/door/trader")).status_code == 403
    assert (await client.get("/door/support")).status_code == 200


@pytest.mark.parametrize(
    "header", ["Bearer kd_wrong", "Bearer", "Basic kd_x", "kd_x", "Bearer wrong", "Bearer kd_" + "x" * 9000, ""]
)
async def test_wrong_tokens_get_one_answer(doors: Any, client: httpx.AsyncClient, header: str) -> None:
    user = await add_person(doors, "one@example.org", Role.TRADER)
    await sign_in(client, user.email)
    answer = await client.get("/api/v1/door/status", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "sign_in_needed"


async def test_a_revoked_or_expired_token_and_a_disabled_owner_get_nothing(
    doors: Any, client: httpx.AsyncClient, clock: Any
) -> None:
    await add_person(doors, "operator@example.org", Role.OPERATOR)
    user = await add_person(doors, "one@example.org", Role.TRADER)
    first_id, first = await make_token(doors, user.id)
    _, short = await make_token(doors, user.id, days=30)
    _, kept = await make_token(doors, user.id)
    assert (await client.get("/api/v1/account", headers=first)).json()["scopes"] == [
        "status:read",
        "balances:read",
        "credentials:manage",
    ]
    async with Unit(doors) as accounts:
        await accounts.revoke_token(user.id, token_id=first_id)
    clock.advance(days=30)
    assert (await client.get("/api/v1/account", headers=first)).status_code == 401
    assert (await client.get("/api/v1/account", headers=short)).status_code == 401
    assert (await client.get("/api/v1/account", headers=kept)).status_code == 200
    async with Unit(doors) as accounts:
        await accounts.disable(user.id)
    assert (await client.get("/api/v1/account", headers=kept)).status_code == 401


async def test_the_browser_session_may_read_the_api_and_not_write(doors: Any, client: httpx.AsyncClient) -> None:
    user = await add_person(doors, "one@example.org", Role.TRADER)
    assert (await client.get("/api/v1/door/status")).status_code == 401
    await sign_in(client, user.email)
    assert (await client.get("/api/v1/door/status")).json() == user.email
    assert (await client.get("/api/v1/door/support")).status_code == 403
    assert (await client.post("/api/v1/door/manage")).status_code == 401


async def test_a_session_ends_when_idle_and_when_old(doors: Any, client: httpx.AsyncClient, clock: Any) -> None:
    user = await add_person(doors, "one@example.org", Role.TRADER)
    await sign_in(client, user.email)
    clock.advance(minutes=59)
    assert (await client.get("/door/trader")).status_code == 200
    clock.advance(minutes=61)
    assert (await client.get("/door/trader")).status_code == 303
    await sign_in(client, user.email)
    for _ in range(23):
        clock.advance(minutes=31)
        assert (await client.get("/door/trader")).status_code == 200
    clock.advance(minutes=31)
    assert (await client.get("/door/trader")).status_code == 303


async def test_last_use_is_written_at_most_once_a_minute(doors: Any, client: httpx.AsyncClient, clock: Any) -> None:
    user = await add_person(doors, "one@example.org", Role.TRADER)
    token_id, headers = await make_token(doors, user.id)

    async def read_last() -> Any:
        async with Unit(doors) as accounts:
            return {token.id: token.last_used_at for token in await accounts.list_tokens(user.id)}[token_id]

    assert await read_last() is None
    start = clock()
    await client.get("/api/v1/account", headers=headers)
    clock.advance(seconds=59)
    await client.post("/api/v1/door/status", headers=headers)
    assert await read_last() == start
    clock.advance(seconds=1)
    await client.post("/api/v1/door/status", headers=headers)
    assert await read_last() == start + timedelta(seconds=60)


async def test_old_cookies_never_come_back(doors: Any, client: httpx.AsyncClient, make_client: MakeClient) -> None:
    await add_person(doors, "operator@example.org", Role.OPERATOR)
    user = await add_person(doors, "one@example.org", Role.TRADER)
    async with make_client() as stolen:
        cookie = (await sign_in(stolen, user.email)).cookies[COOKIE]
        await sign_in(client, user.email)
        form = {"current_password": PASSWORD, "new_password": "another long password"}
        assert (await client.post("/security/password", data=form)).status_code == 303
        assert (await client.get("/door/trader")).status_code == 200
        assert (await stolen.get("/door/trader")).status_code == 303
        assert (await sign_in(stolen, user.email)).status_code == 401
    async with Unit(doors) as accounts:
        await accounts.disable(user.id)
    assert (await client.get("/door/trader")).status_code == 303
    async with Unit(doors) as accounts:
        await accounts.enable(user.id)
    assert (await client.get("/door/trader")).status_code == 303
    client.cookies.clear()
    client.cookies.set(COOKIE, cookie, domain="127.0.0.1")
    assert (await client.get("/door/trader")).status_code == 303
    assert await count_rows(doors, "user_sessions", "revoked_at IS NULL") == 0


async def test_under_https_the_cookie_is_bound_to_the_host(app: Any, client: httpx.AsyncClient) -> None:
    await add_person(app, "one@example.org", Role.TRADER)
    app.state.settings = app.state.settings.model_copy(update={"public_url": "https://keydeck.example.org"})
    header = (await sign_in(client, "one@example.org")).headers["set-cookie"]
    assert header.startswith("__Host-keydeck_session=")
    assert "Secure" in header
    assert "Path=/" in header
    assert "Domain" not in header
