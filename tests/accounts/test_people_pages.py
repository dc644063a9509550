"""The operator's list, found and paged, and the page of one person: what it does, and what it never shows."""

from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.attackers import browse
from tests.accounts.doors import COOKIE, Unit, add_person, count_rows, list_actions, sign_in
from tests.accounts.factors import set_up_app
from tests.pages import Page, open_page, submit
from tests.people import SignedIn

TRADER = "one@example.org"


async def find(operator: SignedIn, query: str, **more: str) -> Page:
    return Page(await operator.client.post("/people", data={"q": query, **more}))


def list_emails(page: Page) -> list[str]:
    return [text for text, href in page.links.items() if href.startswith("/people/usr_") and "@" in text and " " not in text]


async def test_people_are_found_by_a_part_of_their_email(app: Any, signed_in: SignedIn) -> None:
    for email in ("ann@north.example", "bob@north.example", "under_score@south.example", "per%cent@south.example"):
        await add_person(app, email, Role.TRADER)
    assert list_emails(await find(signed_in, "north")) == ["ann@north.example", "bob@north.example"]
    assert list_emails(await find(signed_in, "  NORTH ")) == ["ann@north.example", "bob@north.example"]
    assert list_emails(await find(signed_in, "%")) == ["per%cent@south.example"]
    assert list_emails(await find(signed_in, "r_s")) == ["under_score@south.example"]
    nobody = await find(signed_in, "<script>")
    assert "Nobody’s e-mail holds “<script>”" in nobody.text
    assert "<script>”" not in nobody.html
    assert len(list_emails(await open_page(signed_in.client, "/people"))) == 5


async def test_every_page_of_the_list_is_reached(app: Any, signed_in: SignedIn) -> None:
    async with Unit(app) as accounts:
        for number in range(120):
            await accounts._insert_user(
                f"person{number:03}@example.org", password_hash="x", roles=frozenset({Role.TRADER}), now=app.state.clock()
            )
    page, seen = await open_page(signed_in.client, "/people"), []
    assert "121 accounts" in page.text
    while True:
        emails = list_emails(page)
        assert len(emails) <= 50
        seen += emails
        if not page.find(tag="input", name="after", hidden=True):
            break
        after = page.find(tag="input", name="after", hidden=True)[0].attributes["value"]
        page = await find(signed_in, "", after=after)
    assert seen == sorted(seen)
    assert len(seen) == 121
    assert len(list_emails(await find(signed_in, "person11"))) == 10


@pytest.mark.parametrize("after", ["usr_nobody", "%00", "x" * 500, "'; --"])
async def test_an_odd_cursor_is_harmless(signed_in: SignedIn, after: str) -> None:
    assert (await find(signed_in, "", after=after)).status == 200


async def test_disabling_ends_everything_for_good(app: Any, signed_in: SignedIn) -> None:
    user = await add_person(app, TRADER, Role.TRADER)
    async with Unit(app) as accounts:
        token = (await accounts.create_token(user.id, name="bot")).token.reveal()
    bearer = {"Authorization": f"Bearer {token}"}
    async with browse(app) as program, browse(app, "203.0.113.7") as home:
        await sign_in(home, TRADER)
        assert (await program.get("/api/v1/account", headers=bearer)).status_code == 200
        page = await open_page(signed_in.client, f"/people/{user.id}")
        assert "1 open session · 1 API token" in page.text
        gone = Page(await submit(signed_in.client, page.form(f"/people/{user.id}/disable")))
        assert "API tokens are revoked" in gone.text
        assert (await home.get("/security")).status_code == 303
        back = Page(await submit(signed_in.client, gone.form(f"/people/{user.id}/enable")))
        assert "may sign in again" in back.text
        assert (await home.get("/security")).status_code == 303
        assert (await program.get("/api/v1/account", headers=bearer)).status_code == 401, "a token stays dead after enabling"
        assert (await sign_in(home, TRADER)).status_code == 303


async def test_a_token_that_met_the_disabling_does_not_come_to_life(app: Any, signed_in: SignedIn) -> None:
    """Asked for before, and written after."""
    user = await add_person(app, TRADER, Role.TRADER)
    await signed_in.client.post(f"/people/{user.id}/disable")
    async with Unit(app) as accounts:
        token = (await accounts.create_token(user.id, name="late")).token.reveal()
    await signed_in.client.post(f"/people/{user.id}/enable")
    async with browse(app) as program:
        assert (await program.get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_sessions_are_ended_and_tokens_stay(app: Any, signed_in: SignedIn) -> None:
    user = await add_person(app, TRADER, Role.TRADER)
    async with browse(app) as home, browse(app) as phone:
        for browser in (home, phone):
            await sign_in(browser, TRADER)
        page = await open_page(signed_in.client, f"/people/{user.id}")
        await submit(signed_in.client, page.form(f"/people/{user.id}/sign-out"))
        for browser in (home, phone):
            assert (await browser.get("/security")).status_code == 303
        assert (await sign_in(home, TRADER)).status_code == 303
        assert "All sessions ended" in (await home.get("/activity")).text
    assert await count_rows(app, "familiar_places") == 4, "only the operator's and the new ones"


async def test_an_operator_sees_what_kinds_of_factors_there_are(app: Any, signed_in: SignedIn, clock: Any) -> None:
    user = await add_person(app, TRADER, Role.TRADER)
    page = await open_page(signed_in.client, f"/people/{user.id}")
    assert "None set up" in page.text
    assert not [one for one in page.find(tag="form") if one.attributes["action"].endswith("factor-reset")]
    async with browse(app) as home:
        await sign_in(home, TRADER)
        _, codes = await set_up_app(home, clock)
        session = home.cookies[COOKIE]
    shown = (await signed_in.client.get(f"/people/{user.id}")).text
    assert "Authenticator app since" in shown
    assert f"/people/{user.id}/factor-reset" in shown
    for secret in (*codes, session, "argon2"):
        assert secret not in shown


async def test_a_link_is_shown_once_and_on_record(app: Any, signed_in: SignedIn) -> None:
    user = await add_person(app, TRADER, Role.TRADER)
    page = await open_page(signed_in.client, f"/people/{user.id}")
    made = await submit(signed_in.client, page.form(f"/people/{user.id}/reset-link"))
    token = made.text.split("token=")[1].split('"')[0]
    assert token not in (await signed_in.client.get(f"/people/{user.id}")).text
    assert "user.reset_link_made" in await list_actions(app)
    async with app.state.database.connect() as connection:
        stored = repr((await connection.exec_driver_sql("SELECT * FROM reset_links")).all())
    assert token not in stored


async def test_a_stale_proof_is_asked_for_again(app: Any, signed_in: SignedIn, clock: Any) -> None:
    user = await add_person(app, TRADER, Role.TRADER)
    clock.advance(minutes=6)
    for verb in ("sign-out", "reset-link", "factor-reset", "disable", "enable"):
        answer: httpx.Response = await signed_in.client.post(f"/people/{user.id}/{verb}")
        assert answer.status_code == 403, verb
        assert "confirm" in answer.text.lower()
    assert await count_rows(app, "reset_links") == 0


async def test_nobody_unknown_has_a_page(signed_in: SignedIn) -> None:
    for odd in ("usr_nobody", "%00", "x" * 500, "%E2%80%AE"):
        assert (await signed_in.client.get(f"/people/{odd}")).status_code == 404
        assert (await signed_in.client.post(f"/people/{odd}/sign-out")).status_code == 404


async def test_who_is_looked_at_sees_who_looked_and_from_where(app: Any, signed_in: SignedIn, make_client: Any) -> None:
    user = await add_person(app, TRADER, Role.TRADER)
    other = await add_person(app, "two@example.org", Role.TRADER)
    async with browse(app, "192.0.2.77") as operator:
        operator.cookies = signed_in.client.cookies
        for _ in range(2):
            assert (await operator.get(f"/people/{user.id}")).status_code == 200
        assert (await operator.get("/people/usr_nobody")).status_code == 404
        assert (await operator.get(f"/people/{signed_in.user_id}")).status_code == 200, "one's own page is no look at anybody"
        assert (await operator.head(f"/people/{user.id}")).status_code == 405
        assert "Person’s account looked at" in (own := Page(await operator.get("/activity")).text.replace("'", "’"))
        assert TRADER in own
    assert await count_rows(app, "audit_events", f"action = 'user.viewed' AND owner_id = '{user.id}'") == 2, (
        "each look, like support's"
    )
    assert await count_rows(app, "audit_events", "action IN ('user.viewed', 'user.looked_up')") == 4
    async with make_client() as person:
        await sign_in(person, TRADER)
        shown = Page(await person.get("/activity")).text
    assert "Operator looked at your account" in shown
    assert "192.0.2.77" in shown
    assert signed_in.email not in shown, "staff are not named"
    async with make_client() as person:
        await sign_in(person, other.email)
        assert "looked at" not in Page(await person.get("/activity")).text


async def test_nobody_else_leaves_a_look(app: Any, signed_in: SignedIn, make_client: Any) -> None:
    """Who may not open the page has seen nothing."""
    await add_person(app, TRADER, Role.TRADER)
    async with make_client() as trader:
        await sign_in(trader, TRADER)
        assert (await trader.get(f"/people/{signed_in.user_id}")).status_code == 403
    assert "user.viewed" not in await list_actions(app)
