"""Ways back in: one-time links that work once, die in time, open no session, and never let an operator become somebody."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.accounts.resets import BY_OPERATOR, FACTOR_LINK, PASSWORD_LINK, LinksApart
from app.accounts.roles import Role
from app.mail import Mailer
from app.main import Outside, create_app
from app.settings import Settings
from tests.accounts.attackers import CountedPasswords, browse, list_addresses
from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import COOKIE, PASSWORD, Unit, add_person, count_rows, list_actions, sign_in
from tests.accounts.factors import add_passkey, ask, set_up_app
from tests.accounts.links import NEW, OWNER, choose, make_link, sign_up_again_after
from tests.mail_server import PostOffice, run_mail_server
from tests.pages import open_page, submit
from tests.people import SignedIn


@pytest.fixture
def outside(outside: Outside) -> Outside:
    return replace(outside, passwords=CountedPasswords())


async def test_a_password_link_from_beginning_to_end(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        clock.advance(seconds=1)
        link = await make_link(signed_in, owner)
        page = await open_page(guest, link)
        assert page.heading == "Choose a new password"
        assert page.form("/reset").values["email"] == OWNER
        weak = await submit(guest, page.form("/reset"), new_password="short")
        assert weak.status_code == 422
        assert "at least 12 characters" in weak.text
        assert (await home.get("/security")).status_code == 200, "nothing has happened yet"

        done = await choose(guest, link)
        assert done.status_code == 303
        assert COOKIE not in guest.cookies, "a link opens no session"
        assert "The new password is saved" in (await guest.get(done.headers["location"])).text
        assert (await home.get("/security")).status_code == 303, "all sessions ended"
        assert (await guest.get(link)).status_code == 404
        assert (await guest.post("/reset", data={"token": link.split("=")[1], "new_password": NEW})).status_code == 404
        assert (await sign_in(home, OWNER)).status_code == 401
        assert (await sign_in(guest, OWNER, NEW)).status_code == 303
        own = (await guest.get("/activity")).text
    assert "One-time link made to choose a new password" in own
    assert "Password reset by one-time link" in own
    assert link.split("=")[1] not in own


async def test_the_second_factor_is_asked_for_as_before(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    await sign_in(guest, OWNER)
    phone, _ = await set_up_app(guest, clock)
    await guest.post("/sign-out")
    await choose(guest, await make_link(signed_in, owner))
    answer = await sign_in(guest, OWNER, NEW)
    assert answer.headers["location"] == "/sign-in/code"
    assert (await guest.get("/credentials")).status_code == 303
    assert (await guest.post("/sign-in/code", data={"code": phone.show(clock())})).status_code == 303
    assert (await guest.get("/credentials")).status_code == 200


@pytest.mark.parametrize("death", ["time", "sign-in", "change", "disable", "sign-out", "used"])
async def test_a_link_dies(app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any, death: str) -> None:
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        first, second = await make_link(signed_in, owner), await make_link(signed_in, owner)
        assert (await guest.get(first)).status_code == 200
        if death == "time":
            clock.advance(hours=1)
        elif death == "sign-in":
            await sign_in(home, OWNER)
        elif death == "change":
            changed = await home.post("/security/password", data={"current_password": PASSWORD, "new_password": NEW})
            assert changed.headers["location"] == "/security?done=password"
        elif death == "used":
            await choose(guest, second)
        else:
            await signed_in.client.post(f"/people/{owner}/{death}")
    for link in (first, second):
        assert (await guest.get(link)).status_code == 404
        assert (await guest.post("/reset", data={"token": link.split("=")[1], "new_password": NEW})).status_code == 404


async def test_of_two_at_once_one_wins(app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient) -> None:
    link = await make_link(signed_in, owner)
    forms = [{"token": link.split("=")[1], "new_password": password} for password in (NEW, "yet another password")] * 2
    answers = await asyncio.gather(*(guest.post("/reset", data=form) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404]


async def test_a_reset_opens_the_way_in_again_under_attack(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient
) -> None:
    for ip in list_addresses(30):
        async with browse(app, ip) as thief:
            await sign_in(thief, OWNER, "not the right password")
    assert (await sign_in(guest, OWNER)).status_code == 429
    await choose(guest, await make_link(signed_in, owner))
    assert (await sign_in(guest, OWNER, NEW)).status_code == 303


async def test_lost_factors_need_link_and_password(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        await set_up_app(home, clock)
        page = await open_page(signed_in.client, f"/people/{owner}")
        assert "Authenticator app since" in page.text
        assert "10 recovery codes left" in page.text
        link = await make_link(signed_in, owner, "factor-reset")
        form = (await open_page(guest, link)).form("/factor-reset")
        wrong = await submit(guest, form, password="what an operator might guess")
        assert wrong.status_code == 422
        assert "not the password" in wrong.text
        assert (await home.get("/security")).status_code == 200
        done = await guest.post("/factor-reset", data=form.values | {"password": PASSWORD})
        assert done.headers["location"] == "/sign-in?done=factors"
        assert COOKIE not in guest.cookies
        assert (await home.get("/security")).status_code == 303
    assert (await guest.get(link)).status_code == 404
    assert await count_rows(app, "totp_factors") == 0
    assert (await sign_in(guest, OWNER)).headers["location"] == "/credentials"
    assert {"user.factor_link_made", "factor.all_removed"} <= set(await list_actions(app))


async def test_guessing_behind_a_factor_link_ends(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    await sign_in(guest, OWNER)
    await set_up_app(guest, clock)
    guest.cookies.clear()
    token = (await make_link(signed_in, owner, "factor-reset")).split("=")[1]
    async with browse(app, "192.0.2.1") as thief:
        codes = [
            (await thief.post("/factor-reset", data={"token": token, "password": "a guess of the password"})).status_code
            for _ in range(14)
        ]
    assert codes == [422] * 8 + [429] * 6


async def test_an_operator_cannot_get_both_links_of_one_person(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    """With a password of their own choosing and the factors gone they would be that person."""
    operator = signed_in.client
    for first, second in (("reset-link", "factor-reset"), ("factor-reset", "reset-link")):
        assert (await operator.post(f"/people/{owner}/{first}")).status_code == 200
        refused = await operator.post(f"/people/{owner}/{second}")
        assert refused.status_code == 409
        assert "Not both links for one person" in refused.text
        clock.advance(seconds=1)
        assert (await sign_in(guest, OWNER)).status_code == 303
        clock.advance(seconds=1)
    await make_link(signed_in, owner)
    async with Unit(app) as accounts:
        assert (await accounts.make_link(owner, kind="factors", way="command")).email == OWNER
    await sign_up_again_after(app, signed_in, clock, days=8)
    assert (await operator.post(f"/people/{owner}/factor-reset")).status_code == 200


async def test_a_passkey_does_not_tell_whose_the_new_password_is(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    """An operator who chose the password by link waits for the owner's next sign-in, then asks for the factors to go."""
    laptop = Authenticator()
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        assert (await add_passkey(home, laptop)).status_code == 200
        assert (await choose(guest, await make_link(signed_in, owner))).status_code == 303
        clock.advance(seconds=1)
        answer = laptop.get(await ask(home, "/sign-in/passkey/options"))
        assert (await home.post("/sign-in/passkey", data={"passkey": answer})).status_code == 303
        clock.advance(seconds=1)
        assert (await signed_in.client.post(f"/people/{owner}/factor-reset")).status_code == 409
        await sign_in(home, OWNER, NEW)
        answer = laptop.get(await ask(home, "/sign-in/code/options"))
        assert (await home.post("/sign-in/code", data={"passkey": answer})).status_code == 303
        clock.advance(seconds=1)
        assert (await signed_in.client.post(f"/people/{owner}/factor-reset")).status_code == 200, "the password is the owner's"


async def test_both_links_at_once_are_not_both_made(app: Any, signed_in: SignedIn, owner: str) -> None:
    async def make_other() -> None:
        async with Unit(app) as accounts:
            await accounts.make_link(owner, kind=FACTOR_LINK, way=BY_OPERATOR)

    async with Unit(app) as accounts:
        await accounts.make_link(owner, kind=PASSWORD_LINK, way=BY_OPERATOR)
        other = asyncio.create_task(make_other())
        await asyncio.wait({other}, timeout=0.5)  # let it come as far as it can before the first is committed
    with pytest.raises(LinksApart):
        await other


async def test_nobody_makes_a_link_for_themselves_or_the_disabled(app: Any, signed_in: SignedIn, owner: str) -> None:
    for kind in ("reset-link", "factor-reset"):
        assert (await signed_in.client.post(f"/people/{signed_in.user_id}/{kind}")).status_code == 409
        assert (await signed_in.client.post(f"/people/usr_nobody/{kind}")).status_code == 404
    await signed_in.client.post(f"/people/{owner}/disable")
    for kind in ("reset-link", "factor-reset"):
        assert (await signed_in.client.post(f"/people/{owner}/{kind}")).status_code == 404
    assert await count_rows(app, "reset_links") == 0


@pytest.mark.parametrize("path", ["/reset", "/factor-reset"])
@pytest.mark.parametrize("token", ["", "x", "x" * 43, "%F0%9F%99%82"])
async def test_made_up_links_are_not_found(owner: str, guest: httpx.AsyncClient, path: str, token: str) -> None:
    assert (await guest.get(path, params={"token": token})).status_code == 404
    form = {"token": token, "new_password": NEW, "password": PASSWORD}
    assert (await guest.post(path, data=form)).status_code == 404


async def test_a_link_of_one_kind_is_none_of_the_other(signed_in: SignedIn, owner: str, guest: httpx.AsyncClient) -> None:
    link = await make_link(signed_in, owner)
    assert (await guest.get(link.replace("/reset", "/factor-reset"))).status_code == 404
    assert (await guest.get(link)).status_code == 200


async def test_without_a_mail_server_there_is_no_letter(guest: httpx.AsyncClient) -> None:
    assert "Forgot" not in (await guest.get("/sign-in")).text
    assert (await guest.get("/forgot")).status_code == 404
    assert (await guest.post("/forgot", data={"email": OWNER})).status_code == 404


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with run_mail_server() as opened:
        yield opened


@pytest.fixture
async def mailing(settings: Settings, outside: Outside, office: PostOffice, clock: Any) -> AsyncIterator[Any]:
    """The app with a mail server of its own."""
    url = {"smtp_url": f"smtp://127.0.0.1:{office.port}", "mail_from": "keydeck@example.org"}
    mailer = Mailer(Settings.model_validate(url), clock=clock)
    created = create_app(settings, outside=replace(outside, mailer=mailer))
    async with created.router.lifespan_context(created):
        await add_person(created, OWNER, Role.TRADER)
        yield created
        await created.state.errands.settle()


async def test_a_letter_brings_the_link(mailing: Any, office: PostOffice) -> None:
    async with browse(mailing, "198.51.100.8", Host="evil.example") as thief:
        assert (await thief.post("/forgot", data={"email": OWNER})).status_code >= 400
    async with browse(mailing, "198.51.100.7") as guest:
        page = await open_page(guest, "/sign-in")
        assert "/forgot" in page.links.values()
        answer = await submit(guest, (await open_page(guest, "/forgot")).form("/forgot"), email=" Owner@Example.org ")
        assert "a letter is on its way" in answer.text
        await mailing.state.errands.settle()
        (letter,) = office.letters
        assert letter["To"] == OWNER
        assert "198.51.100.7" in letter.get_content()
        assert "evil" not in letter.as_string()
        (link,) = re.findall(r"http://127\.0\.0\.1:8000(/reset\?token=\S+)", letter.get_content())
        assert (await choose(guest, link)).status_code == 303
        await mailing.state.errands.settle()
        assert [one["Subject"] for one in office.letters][1] == "Your Keydeck password was reset"
        assert (await sign_in(guest, OWNER, NEW)).status_code == 303


async def test_the_answer_does_not_tell_who_has_an_account(mailing: Any, office: PostOffice) -> None:
    before = await count_rows(mailing, "audit_events")
    answers = set()
    for number, email in enumerate((OWNER, "nobod@example.org", "not an address", "", "x" * 9000)):
        async with browse(mailing, f"198.51.100.{number}") as guest:
            answer = await guest.post("/forgot", data={"email": email})
            headers = tuple((name, value) for name, value in answer.headers.multi_items() if name != "x-request-id")
            answers.add((answer.status_code, answer.text, headers))
    assert len(answers) == 1
    await mailing.state.errands.settle()
    assert len(office.letters) == 1
    assert await count_rows(mailing, "audit_events") == before + 1


async def test_letters_are_few(mailing: Any, office: PostOffice, clock: Any) -> None:
    """Nobody fills somebody's letter box, and one address asks a few times only."""
    for ip in list_addresses(8):
        async with browse(mailing, ip) as guest:
            assert (await guest.post("/forgot", data={"email": OWNER})).status_code == 200
    await mailing.state.errands.settle()
    assert len(office.letters) == 3
    async with browse(mailing, "203.0.113.1") as guest:
        codes = [(await guest.post("/forgot", data={"email": f"x{n}@example.org"})).status_code for n in range(12)]
    assert codes == [200] * 10 + [429] * 2
    clock.advance(hours=1)
    for _ in range(8):
        async with browse(mailing, "203.0.113.2") as guest:
            await guest.post("/forgot", data={"email": OWNER})
        await mailing.state.errands.settle()  # counted at this hour, not at the next one
        clock.advance(hours=1)
    assert len(office.letters) == 3 + 4, "one more every two hours: nobody waits long because somebody else asked"


async def test_a_mail_server_that_is_down_changes_no_answer(mailing: Any, office: PostOffice, caplog: Any) -> None:
    office.answer = "451 try later"
    async with browse(mailing, "198.51.100.7") as guest:
        assert (await guest.post("/forgot", data={"email": OWNER})).status_code == 200
    await mailing.state.errands.settle()
    assert "a letter was not sent: The mail server refused the letter (451)." in caplog.text
    assert OWNER not in caplog.text


async def test_a_sign_in_at_the_same_moment_does_not_outlive_the_reset(app: Any, signed_in: SignedIn, owner: str) -> None:
    """Of a sign-in by the old password and a reset, made at once, whichever comes first: no session is left."""
    for _ in range(6):
        link = await make_link(signed_in, owner)
        async with browse(app, "203.0.113.7") as home, browse(app, "203.0.113.8") as guest:
            form = {"token": link.split("=")[1], "new_password": NEW}
            entered, done = await asyncio.gather(sign_in(home, OWNER), guest.post("/reset", data=form))
            if done.status_code == 303:
                assert (await home.get("/security")).status_code == 303
                again = await make_link(signed_in, owner)
                assert (await choose(guest, again, PASSWORD)).status_code == 303
            else:
                assert (entered.status_code, done.status_code) == (303, 404), "the sign-in came first and ended the link"
