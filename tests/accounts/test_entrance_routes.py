"""The ways in, as a browser uses them."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.requests import clean_next
from app.accounts.roles import Role
from app.accounts.setup import ensure_setup_link
from tests.accounts.doors import COOKIE, PASSWORD, Unit, add_person, count_rows, find_copied, list_actions, sign_in
from tests.people import EMAIL, SignedIn

MakeClient = Callable[[], httpx.AsyncClient]


async def make_setup_token(app: Any) -> str:
    link = await ensure_setup_link(app.state.database, clock=app.state.clock, public_url=app.state.settings.public_url)
    assert link is not None
    assert link.startswith("http://127.0.0.1:8000/setup?token=")
    return str(link.split("token=")[1])


async def test_the_setup_link_makes_the_first_account_once(app: Any, client: httpx.AsyncClient, make_client: MakeClient) -> None:
    assert "one-time link" in (await client.get("/sign-in")).text
    token = await make_setup_token(app)
    page = await client.get("/setup", params={"token": token})
    assert page.status_code == 200
    assert 'autocomplete="new-password"' in page.text
    assert 'autocomplete="username"' in page.text

    form = {"email": " First@Example.org ", "password": PASSWORD, "token": token}
    made = await client.post("/setup", data=form)
    assert made.status_code == 303
    assert made.headers["location"] == "/credentials"
    assert "httponly" in made.headers["set-cookie"].lower()
    assert "samesite=lax" in made.headers["set-cookie"].lower()
    assert (await client.get("/people")).status_code == 200
    assert "first@example.org" in (await client.get("/security")).text

    async with make_client() as other:
        assert (await other.get("/setup", params={"token": token})).status_code == 404
        assert (await other.post("/setup", data=form)).status_code == 404
    assert await ensure_setup_link(app.state.database, clock=app.state.clock, public_url="http://127.0.0.1:8000") is None
    assert await count_rows(app, "users") == 1
    assert set(await list_actions(app)) == {"user.created", "user.signed_in"}


async def test_each_start_makes_a_new_setup_link(app: Any, client: httpx.AsyncClient, clock: Any) -> None:
    old, new = await make_setup_token(app), await make_setup_token(app)
    assert (await client.get("/setup", params={"token": old})).status_code == 404
    assert (await client.get("/setup", params={"token": new})).status_code == 200
    assert (await client.get("/setup")).status_code == 404
    clock.advance(days=2)
    assert (await client.get("/setup", params={"token": new})).status_code == 404


async def test_of_two_at_once_exactly_one_gets_the_first_account(app: Any, make_client: MakeClient) -> None:
    token = await make_setup_token(app)

    async def try_setup(number: int) -> int:
        async with make_client() as browser:
            form = {"email": f"person{number}@example.org", "password": PASSWORD, "token": token}
            return (await browser.post("/setup", data=form)).status_code

    answers = await asyncio.gather(*(try_setup(number) for number in range(4)))
    assert sorted(answers) == [303, 404, 404, 404]
    assert await count_rows(app, "users") == 1


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("first@example.org", "short", "Use at least 12 characters"),
        ("first@example.org", "x" * 257, "Use at most 256 characters"),
        ("first@example.org", "First@example.org", "must not be your e-mail"),
        ("nobody", PASSWORD, "Enter an e-mail address"),
        ("", "", "Enter an e-mail address"),
    ],
)
async def test_a_refused_form_keeps_the_email_and_the_link(
    app: Any, client: httpx.AsyncClient, email: str, password: str, words: str
) -> None:
    token = await make_setup_token(app)
    answer = await client.post("/setup", data={"email": email, "password": password, "token": token})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{email}"' in answer.text or not email
    assert len(password) < 6 or password == email or f">{password}" not in answer.text
    assert (await client.get("/setup", params={"token": token})).status_code == 200


async def test_an_invitation_works_once_with_its_roles(app: Any, signed_in: SignedIn, make_client: MakeClient) -> None:
    made = await signed_in.client.post("/people/invitations", data={"role": ["support"], "email": ""})
    assert made.status_code == 200
    link = find_copied(made.text)
    async with make_client() as guest:
        assert (await guest.get(link)).status_code == 200
        form = {"email": "help@example.org", "password": PASSWORD, "token": link.split("token=")[1]}
        answer = await guest.post("/invitation", data=form)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/support"
        assert (await guest.get("/people")).status_code == 403
        assert (await guest.get(link)).status_code == 404
        assert (await guest.post("/invitation", data={**form, "email": "other@example.org"})).status_code == 404
    assert link.split("token=")[1] not in (await signed_in.client.get("/people")).text


async def test_an_invitation_for_one_address_makes_no_other_account(
    app: Any, signed_in: SignedIn, make_client: MakeClient
) -> None:
    made = await signed_in.client.post("/people/invitations", data={"role": "trader", "email": "Guest@Example.org"})
    token = find_copied(made.text).split("token=")[1]
    async with make_client() as guest:
        form = {"email": "thief@example.org", "password": PASSWORD, "token": token}
        assert (await guest.post("/invitation", data=form)).status_code == 303
    assert await count_rows(app, "users", "email = 'guest@example.org'") == 1
    assert await count_rows(app, "users", "email = 'thief@example.org'") == 0


async def test_an_invitation_ends_and_can_be_cancelled(
    app: Any, signed_in: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    cancelled = find_copied((await signed_in.client.post("/people/invitations", data={"role": "trader"})).text)
    async with Unit(app) as accounts:
        invitation = (await accounts.list_invitations())[0]
    assert (await signed_in.client.post(f"/people/invitations/{invitation.id}/cancel")).status_code == 303
    assert (await signed_in.client.post(f"/people/invitations/{invitation.id}/cancel")).status_code == 404
    late = find_copied((await signed_in.client.post("/people/invitations", data={"role": "trader"})).text)
    async with make_client() as guest:
        assert (await guest.get(cancelled)).status_code == 404
        assert (await guest.get(late)).status_code == 200
        clock.advance(days=7, seconds=1)
        assert (await guest.get(late)).status_code == 404


async def test_a_taken_address_uses_no_invitation_up(app: Any, signed_in: SignedIn, make_client: MakeClient) -> None:
    link = find_copied((await signed_in.client.post("/people/invitations", data={"role": "trader"})).text)
    async with make_client() as guest:
        form = {"email": EMAIL, "password": PASSWORD, "token": link.split("token=")[1]}
        refused = await guest.post("/invitation", data=form)
        assert refused.status_code == 422
        assert "account with this e-mail already" in refused.text
        assert (await guest.post("/invitation", data={**form, "email": "new@example.org"})).status_code == 303


async def test_sign_up_is_closed_unless_opened(app: Any, client: httpx.AsyncClient) -> None:
    form = {"email": "new@example.org", "password": PASSWORD}
    assert (await client.get("/sign-up")).status_code == 404
    assert (await client.post("/sign-up", data=form)).status_code == 404
    app.state.settings = app.state.settings.model_copy(update={"open_sign_up": "on"})
    assert "/sign-up" in (await client.get("/sign-in")).text
    assert (await client.get("/sign-up")).status_code == 200
    assert (await client.post("/sign-up", data=form)).status_code == 303
    assert (await client.get("/people")).status_code == 403


async def test_wrong_answers_do_not_tell_who_has_an_account(app: Any, client: httpx.AsyncClient) -> None:
    await add_person(app, "known0@example.org", Role.TRADER)
    gone = await add_person(app, "known1@example.org", Role.TRADER)
    await add_person(app, "operator@example.org", Role.OPERATOR)
    async with Unit(app) as accounts:
        await accounts.disable(gone.id)
    tries = [("known0@example.org", "wrong password"), ("known9@example.org", "wrong password"), ("known1@example.org", PASSWORD)]
    answers = [await sign_in(client, email, password) for email, password in tries]
    bodies = {answer.text.replace(email, "E") for answer, (email, _) in zip(answers, tries, strict=True)}
    assert len(bodies) == 1
    assert {answer.status_code for answer in answers} == {401}
    assert len({tuple(sorted(name for name in answer.headers)) for answer in answers}) == 1
    assert "The e-mail or the password is wrong." in answers[0].text
    assert 'value="known0@example.org"' in answers[0].text
    assert (await list_actions(app)).count("user.sign_in_failed") == 3
    assert await count_rows(app, "audit_events", "action = 'user.sign_in_failed' AND owner_id IS NULL") == 1


@pytest.mark.parametrize("email", ["", "nobody", "a" * 400 + "@example.org", "\U0001f600@\u202eexample.org", "x@y z", "'; --"])
async def test_odd_addresses_are_wrong_credentials(client: httpx.AsyncClient, email: str) -> None:
    assert (await sign_in(client, email, "wrong password")).status_code == 401


async def test_signing_in_opens_a_new_session_and_ends_the_planted_one(app: Any, client: httpx.AsyncClient) -> None:
    await add_person(app, "one@example.org", Role.TRADER)
    client.cookies.set(COOKIE, "planted", domain="127.0.0.1")
    answer = await sign_in(client, "ONE@example.org")
    first = answer.cookies[COOKIE]
    assert first != "planted"
    second = (await sign_in(client, "one@example.org")).cookies[COOKIE]
    assert second != first
    assert (await client.get("/security")).status_code == 200
    client.cookies.clear()
    for old in ("planted", first):
        client.cookies.set(COOKIE, old, domain="127.0.0.1")
        assert (await client.get("/security")).status_code == 303
        client.cookies.clear()


async def test_after_signing_in_the_wanted_page_comes(app: Any, client: httpx.AsyncClient) -> None:
    await add_person(app, "one@example.org", Role.TRADER)
    page = await client.get("/activity?before=x")
    assert page.status_code == 303
    wanted = await client.get(page.headers["location"])
    assert 'name="next" value="/activity?before=x"' in wanted.text
    answer = await sign_in(client, "one@example.org", next="/activity?before=x")
    assert answer.headers["location"] == "/activity?before=x"
    again = await client.get("/sign-in?next=/security")
    assert again.headers["location"] == "/security"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "/a\nb",
        "/sign-in?next=/",
        "/\t/evil",
        "/" + "x" * 3000,
    ],
)
def test_the_next_page_is_on_this_site(path: str) -> None:
    assert clean_next(path) == ""


def test_paths_of_this_site_are_kept() -> None:
    assert clean_next("/credentials/crd_1?tab=checks") == "/credentials/crd_1?tab=checks"


async def test_signing_out_ends_the_session_for_good(app: Any, client: httpx.AsyncClient) -> None:
    await add_person(app, "one@example.org", Role.TRADER)
    token = (await sign_in(client, "one@example.org")).cookies[COOKIE]
    answer = await client.post("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, token, domain="127.0.0.1")
    assert (await client.get("/security")).status_code == 303
    assert (await client.post("/sign-out")).status_code == 303
    assert "user.signed_out" in await list_actions(app)
