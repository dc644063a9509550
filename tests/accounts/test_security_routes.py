"""The security and activity pages: own password, sessions, tokens and events, and nobody else's."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.doors import COOKIE, PASSWORD, Unit, add_person, count_rows, find_copied, list_actions, sign_in
from tests.pages import Page
from tests.people import SignedIn

MakeClient = Callable[[], httpx.AsyncClient]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
async def trader(app: Any, client: httpx.AsyncClient) -> SignedIn:
    user = await add_person(app, "one@example.org", Role.TRADER)
    client.headers["User-Agent"] = FIREFOX
    assert (await sign_in(client, user.email)).status_code == 303
    return SignedIn(client, user.email, user.id)


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("not the password", "another long password", "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, "ONE@example.org", "new_password"),
        ("", "", "new_password"),
    ],
)
async def test_a_refused_password_change_names_its_field(app: Any, trader: SignedIn, current: str, new: str, field: str) -> None:
    answer = await trader.client.post("/security/password", data={"current_password": current, "new_password": new})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 1
    assert (await trader.client.get("/security")).status_code == 200
    assert ("user.password_change_failed" in await list_actions(app)) is (field == "current_password")


async def test_a_token_is_shown_once(app: Any, trader: SignedIn) -> None:
    form = {"name": "<b>bot</b>", "scope": ["status:read", "balances:read"], "expires_in_days": "30"}
    made = await trader.client.post("/security/tokens", data=form)
    assert made.status_code == 200
    token = find_copied(made.text)
    assert token.startswith("kd_")
    assert len(token) == 46
    assert "<b>bot</b>" not in made.text
    assert "&lt;b&gt;bot&lt;/b&gt;" in made.text
    assert token not in (await trader.client.get("/security")).text
    account = (await trader.client.get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})).json()
    assert account == {
        "id": trader.user_id,
        "email": trader.email,
        "roles": ["trader"],
        "scopes": ["status:read", "balances:read"],
    }
    async with Unit(app) as accounts:
        token_id = (await accounts.list_tokens(trader.user_id))[0].id
    assert (await trader.client.post(f"/security/tokens/{token_id}/revoke")).status_code == 303
    assert (await trader.client.post(f"/security/tokens/{token_id}/revoke")).status_code == 404
    assert (await trader.client.get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})).status_code == 401


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "scope": "status:read"}, "Give it a name"),
        ({"name": "x" * 61, "scope": "status:read"}, "Give it a name"),
        ({"name": "a\u0007b", "scope": "status:read"}, "Give it a name"),
        ({"name": "bot"}, "Choose at least one right"),
        ({"name": "bot", "scope": "support:read"}, "Choose at least one right"),
        ({"name": "bot", "scope": "everything"}, "Choose at least one right"),
        ({"name": "bot", "scope": "status:read", "expires_in_days": "-1"}, "Choose one of the offered"),
    ],
)
async def test_a_refused_token_form_keeps_what_was_entered(app: Any, trader: SignedIn, form: dict[str, str], words: str) -> None:
    answer = await trader.client.post("/security/tokens", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert form["name"] != "bot" or 'value="bot"' in answer.text
    assert await count_rows(app, "api_tokens") == 0


async def test_sessions_are_listed_and_ended(app: Any, trader: SignedIn, make_client: MakeClient) -> None:
    async with make_client() as phone, make_client() as stranger:
        phone.headers["User-Agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
        await sign_in(phone, trader.email)
        other = await add_person(app, "two@example.org", Role.TRADER)
        await sign_in(stranger, other.email)
        page = await trader.client.get("/security")
        assert "Firefox on Linux" in page.text
        assert "Safari on iOS" in page.text
        assert page.text.count("This one") == 1
        async with app.state.database.connect() as connection:
            rows = (await connection.exec_driver_sql("SELECT id, user_id, user_agent FROM user_sessions")).all()
        ids = {(row[1], "iPhone" in row[2]): row[0] for row in rows}
        assert (await trader.client.post(f"/security/sessions/{ids[other.id, False]}/end")).status_code == 404
        assert (await stranger.get("/security")).status_code == 200
        assert (await trader.client.post(f"/security/sessions/{ids[trader.user_id, True]}/end")).status_code == 303
        assert (await phone.get("/security")).status_code == 303
        await sign_in(phone, trader.email)
        assert (await trader.client.post("/security/sessions/end-others")).status_code == 303
        assert (await phone.get("/security")).status_code == 303
        assert (await stranger.get("/security")).status_code == 200
    assert (await trader.client.get("/security")).status_code == 200


@pytest.mark.parametrize("odd", ["%00", "x%00", "..", "tok_%F0%9F%98%80", "x" * 500])
async def test_odd_ids_are_not_found(trader: SignedIn, odd: str) -> None:
    for path in (f"/security/tokens/{odd}/revoke", f"/security/sessions/{odd}/end"):
        assert (await trader.client.post(path)).status_code == 404
    expected = 404 if "%00" in odd else 200
    assert (await trader.client.get(f"/activity?before={odd}")).status_code == expected


async def test_activity_shows_ones_own_events_page_by_page(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    async with make_client() as stranger:
        await sign_in(stranger, trader.email, "wrong password")
    for number in range(50):
        clock.advance(seconds=1)
        async with Unit(app) as accounts:
            await accounts.create_token(trader.user_id, name=f"bot number {number}")
    first = await trader.client.get("/activity")
    assert "API token made" in first.text
    assert "bot number 49" in first.text
    assert "Signed in" not in first.text
    older = first.text.split('href="/activity?before=')[1].split('"')[0]
    second = await trader.client.get(f"/activity?before={older}")
    assert "Signed in" in second.text
    assert "Sign-in with a wrong password" in second.text
    assert "Someone" in second.text
    assert "bot number 49" not in second.text

    user = await add_person(app, "two@example.org", Role.TRADER)
    trader.client.cookies.delete(COOKIE)
    await sign_in(trader.client, user.email)
    assert "bot number" not in (await trader.client.get("/activity")).text
    assert "bot number" not in (await trader.client.get(f"/activity?before={older}")).text


async def test_tokens_say_when_they_end_and_the_usual_end_is_ninety_days(app: Any, trader: SignedIn, clock: Any) -> None:
    await trader.client.post("/security/tokens", data={"name": "usual", "scope": "status:read"})
    await trader.client.post("/security/tokens", data={"name": "short", "scope": "status:read", "expires_in_days": "30"})
    await trader.client.post("/security/tokens", data={"name": "endless", "scope": "status:read", "expires_in_days": "never"})

    async def read_rows() -> dict[str, str]:
        await sign_in(trader.client, trader.email)
        page = Page(await trader.client.get("/security"))
        rows = [one.text for one in page.find(tag="li") if "Made" in one.text]
        return {row.split()[0]: row for row in rows}

    rows = await read_rows()
    assert "ends 19 Feb 2027" in rows["usual"]
    assert "no end" in rows["endless"]
    assert not any("Ends soon" in row or "Ended" in row for row in rows.values())
    clock.advance(days=17)
    rows = await read_rows()
    assert [name for name, row in rows.items() if "Ends soon" in row] == ["short"]
    clock.advance(days=13)
    rows = await read_rows()
    assert [name for name, row in rows.items() if "Ended" in row] == ["short"]
    assert "programs that use it are refused" in rows["short"]
    clock.advance(days=31)
    assert set(await read_rows()) == {"usual", "endless"}
