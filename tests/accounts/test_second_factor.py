"""Signing in with a second factor: authenticator app, recovery codes, and what a half-open sign-in may do."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.doors import COOKIE, PASSWORD, add_person, count_rows, list_actions, sign_in
from tests.accounts.factors import Phone, confirm, read_codes, set_up_app
from tests.pages import Page
from tests.people import SignedIn

MakeClient = Callable[[], httpx.AsyncClient]
PENDING = "keydeck_pending"


@pytest.fixture
async def trader(app: Any, client: httpx.AsyncClient) -> SignedIn:
    user = await add_person(app, "one@example.org", Role.TRADER)
    assert (await sign_in(client, user.email)).status_code == 303
    return SignedIn(client, user.email, user.id)


async def half_open(client: httpx.AsyncClient, email: str, **more: str) -> httpx.Response:
    answer = await sign_in(client, email, **more)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in/code")
    assert COOKIE not in client.cookies
    return answer


async def enter(client: httpx.AsyncClient, code: str, **more: str) -> httpx.Response:
    return await client.post("/sign-in/code", data={"code": code, **more})


async def test_an_app_is_set_up_and_then_asked_for(app: Any, trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    before = trader.client.cookies[COOKIE]
    phone, codes = await set_up_app(trader.client, clock)
    assert len(set(codes)) == 10
    assert trader.client.cookies[COOKIE] != before
    assert (await trader.client.get("/credentials")).status_code == 200
    assert codes[0] not in (await trader.client.get("/security")).text
    assert "10 recovery codes left" in Page(await trader.client.get("/security")).text
    async with make_client() as browser:
        await half_open(browser, trader.email, next="/activity")
        for path in ("/credentials", "/security", "/activity", "/security/two-step", "/security/confirm"):
            answer = await browser.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
        page = Page(await browser.get("/sign-in/code?next=/activity"))
        assert page.heading == "Two-step code"
        answer = await enter(browser, phone.show(clock()), next="/activity")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/activity"
        assert PENDING not in browser.cookies
        assert (await browser.get("/activity")).status_code == 200
        assert (await browser.get("/sign-in/code")).status_code == 303
    assert "by password and app code" in (await trader.client.get("/activity")).text
    assert await count_rows(app, "pending_sign_ins") == 0
    assert {"factor.totp_added", "user.signed_in"} <= set(await list_actions(app))


async def test_a_code_is_accepted_once_and_a_neighbour_step_too(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    phone, _ = await set_up_app(trader.client, clock)
    async with make_client() as one, make_client() as two:
        await half_open(one, trader.email)
        await half_open(two, trader.email)
        code = phone.show(clock())
        clock.advance(seconds=30)
        assert (await enter(one, f" {code[:3]} {code[3:]} ")).status_code == 303
        again = await enter(two, code)
        assert again.status_code == 401
        assert Page(again).form("/sign-in/code").error_of("code") == (
            "That code was already used. Enter the one the app shows now. 4 tries left."
        )
        assert "aria-invalid" in again.text
        clock.advance(seconds=60)
        old = phone.show(clock())
        clock.advance(seconds=60)
        assert "That code is not right" in (await enter(two, old)).text
        assert (await enter(two, phone.show(clock()))).status_code == 303
    assert (await list_actions(app)).count("user.proof_failed") == 2


async def test_a_code_of_before_the_set_up_is_refused(trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    """The code that finished the set-up is used up with it."""
    phone, _ = await set_up_app(trader.client, clock)
    async with make_client() as browser:
        await half_open(browser, trader.email)
        clock.advance(seconds=-30)
        assert "already used" in (await enter(browser, phone.show(clock()))).text


async def test_recovery_codes_work_once_each(app: Any, trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    _, codes = await set_up_app(trader.client, clock)
    async with make_client() as browser:
        await half_open(browser, trader.email)
        page = Page(await browser.get("/sign-in/code?with=recovery"))
        assert page.heading == "Recovery code"
        assert "not one of your unused" in (await enter(browser, "0000-0000-0000-0000", **{"with": "recovery"})).text
        assert (await enter(browser, codes[3].upper().replace("-", " "))).status_code == 303
        assert "9 recovery codes left" in Page(await browser.get("/security")).text
        await browser.post("/sign-out")
        await half_open(browser, trader.email)
        assert (await enter(browser, codes[3])).status_code == 401
        assert (await enter(browser, codes[4])).status_code == 303
        renewed = await browser.post("/security/two-step/codes")
        fresh = read_codes(renewed)
        assert len(set(fresh) - set(codes)) == 10
        await browser.post("/sign-out")
        await half_open(browser, trader.email)
        assert (await enter(browser, codes[5])).status_code == 401
        assert (await enter(browser, fresh[0])).status_code == 303
    assert await count_rows(app, "recovery_codes", "used_at IS NOT NULL") == 1


async def test_tries_are_limited_per_account_and_the_limit_ends(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    phone, _ = await set_up_app(trader.client, clock)
    async with make_client() as one, make_client() as two:
        await half_open(one, trader.email)
        await half_open(two, trader.email)
        words = [
            Page(await enter(one if number % 2 else two, "000000")).form("/sign-in/code").error_of("code") for number in range(5)
        ]
        assert [text.rsplit(". ", 1)[1] for text in words[:4]] == [
            "4 tries left.",
            "3 tries left.",
            "2 tries left.",
            "1 try left.",
        ]
        assert words[4].endswith("The next try is possible in 30 minutes.")
        assert "Too many tries" in (await enter(two, phone.show(clock()))).text
        assert await count_rows(app, "factor_tries") == 5
        clock.advance(minutes=30)
        await half_open(two, trader.email)
        assert (await enter(two, phone.show(clock()))).status_code == 303
    assert await count_rows(app, "factor_tries") == 0


async def test_wrong_codes_of_a_day_are_bounded_and_no_wait_is_long(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    phone, _ = await set_up_app(trader.client, clock)

    async def try_for(browser: httpx.AsyncClient, *, times: int, minutes: float) -> int:
        """Enter wrong codes at this pace; returns how many were judged at all."""
        judged = 0
        for _ in range(times):
            await sign_in(browser, trader.email)
            judged += "is not right" in (await enter(browser, "000000")).text
            clock.advance(minutes=minutes)
        return judged

    async with make_client() as browser:
        assert await try_for(browser, times=96, minutes=5) == 5 + 15
        assert await try_for(browser, times=20, minutes=30) == 20
        assert await count_rows(app, "factor_tries") == 5 + 15 + 20
        assert await try_for(browser, times=1, minutes=10) == 1
        await half_open(browser, trader.email)
        assert "The next is possible in 20 minutes" in (await enter(browser, phone.show(clock()))).text
        clock.advance(minutes=20)
        assert (await enter(browser, phone.show(clock()))).status_code == 303


async def test_a_half_open_sign_in_ends(app: Any, trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    phone, _ = await set_up_app(trader.client, clock)
    async with make_client() as browser:
        await half_open(browser, trader.email)
        clock.advance(minutes=10)
        answer = await enter(browser, phone.show(clock()))
        assert answer.headers["location"] == "/sign-in"
        await half_open(browser, trader.email)
        form = {"current_password": PASSWORD, "new_password": "another long password"}
        assert (await confirm(trader.client, confirm_code=phone.show(clock()))).status_code == 303
        assert (await trader.client.post("/security/password", data=form)).status_code == 303
        clock.advance(seconds=30)
        assert (await enter(browser, phone.show(clock()))).headers["location"] == "/sign-in"
        assert (await sign_in(browser, trader.email)).status_code == 401


async def test_of_two_right_answers_at_once_one_opens(app: Any, trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    _, codes = await set_up_app(trader.client, clock)
    async with make_client() as browser:
        await half_open(browser, trader.email)
        token = browser.cookies[PENDING]
        assert (await enter(browser, codes[0])).status_code == 303
        browser.cookies.clear()
        browser.cookies.set(PENDING, token, domain="127.0.0.1")
        assert (await enter(browser, codes[1])).headers["location"] == "/sign-in"


async def test_removing_the_app_ends_everything_else(app: Any, trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    phone, _ = await set_up_app(trader.client, clock)
    async with make_client() as other:
        await half_open(other, trader.email)
        assert (await enter(other, phone.show(clock()))).status_code == 303
        assert (await trader.client.post("/security/two-step/app/remove")).status_code == 303
        assert (await other.get("/security")).status_code == 303
        assert (await sign_in(other, trader.email)).headers["location"] == "/credentials"
    assert await count_rows(app, "totp_factors") == 0
    assert await count_rows(app, "sealed_values") == 0
    assert await count_rows(app, "recovery_codes") == 0


async def test_another_app_takes_the_old_ones_place(app: Any, trader: SignedIn, make_client: MakeClient, clock: Any) -> None:
    old, _ = await set_up_app(trader.client, clock)
    new, codes = await set_up_app(trader.client, clock)
    assert codes == []
    assert await count_rows(app, "totp_factors") == 1
    async with make_client() as browser:
        await half_open(browser, trader.email)
        assert (await enter(browser, old.show(clock()))).status_code == 401
        assert (await enter(browser, new.show(clock()))).status_code == 303


async def test_a_wrong_code_when_setting_up_keeps_the_same_seed(trader: SignedIn, clock: Any) -> None:
    first = await trader.client.post("/security/two-step/app", follow_redirects=True)
    seed = first.text.split('data-copy="')[1].split('"')[0]
    refused = await trader.client.post("/security/two-step/app/confirm", data={"code": "000000"})
    assert refused.status_code == 422
    assert "That code is not right" in Page(refused).form("/security/two-step/app/confirm").error_of("code")
    assert seed in refused.text
    done = await trader.client.post("/security/two-step/app/confirm", data={"code": Phone(seed.replace(" ", "")).show(clock())})
    assert len(read_codes(done)) == 10


async def test_one_code_sent_many_times_at_once_opens_once(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    phone, codes = await set_up_app(trader.client, clock)
    browsers = [make_client() for _ in range(5)]
    for browser in browsers:
        await half_open(browser, trader.email)
    for code in (phone.show(clock()), codes[0]):
        answers = await asyncio.gather(*(enter(browser, code) for browser in browsers))
        assert sorted(answer.status_code for answer in answers) == [303, 401, 401, 401, 401]
        (winner,) = [number for number, answer in enumerate(answers) if answer.status_code == 303]
        await half_open_again(browsers[winner], trader.email)
        clock.advance(minutes=6)
    for browser in browsers:
        await browser.aclose()


async def half_open_again(browser: httpx.AsyncClient, email: str) -> None:
    await browser.post("/sign-out")
    await half_open(browser, email)


async def test_many_wrong_codes_at_once_are_judged_five_times(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    await set_up_app(trader.client, clock)
    async with make_client() as browser:
        await half_open(browser, trader.email)
        answers = await asyncio.gather(*(enter(browser, "000000") for _ in range(15)))
    assert sum("is not right" in answer.text for answer in answers) == 5
    assert sum("Too many tries" in answer.text for answer in answers) == 10
    assert await count_rows(app, "factor_tries") == 5


async def test_a_seed_that_does_not_open_names_the_operator_and_leaves_another_way(
    app: Any, trader: SignedIn, make_client: MakeClient, clock: Any
) -> None:
    phone, codes = await set_up_app(trader.client, clock)
    async with app.state.database.write() as session:
        await (await session.connection()).exec_driver_sql("UPDATE sealed_values SET kid = 'k1999z'")
    async with make_client() as browser:
        await half_open(browser, trader.email)
        locked = await enter(browser, phone.show(clock()))
        assert locked.status_code == 503
        assert "Codes cannot be checked on this server now" in locked.text
        assert "keydeck doctor" in locked.text
        assert (await enter(browser, codes[0])).status_code == 303
    assert await count_rows(app, "factor_tries") == 0
