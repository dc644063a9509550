"""Passkeys: as second factor, in the place of both, and every answer that must not count."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.accounts.passkey_ceremonies import find_relying_party
from app.accounts.roles import Role
from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import COOKIE, Unit, add_person, count_rows, list_actions, sign_in
from tests.accounts.factors import add_passkey, ask, read_codes, set_up_app
from tests.pages import Page
from tests.people import SignedIn

MakeClient = Callable[[], httpx.AsyncClient]
OPTIONS, ANSWER = "/sign-in/passkey/options", "/sign-in/passkey"
CODE_OPTIONS, CODE = "/sign-in/code/options", "/sign-in/code"


@pytest.fixture
async def trader(app: Any, client: httpx.AsyncClient) -> SignedIn:
    user = await add_person(app, "one@example.org", Role.TRADER)
    assert (await sign_in(client, user.email)).status_code == 303
    return SignedIn(client, user.email, user.id)


@pytest.fixture
async def device(trader: SignedIn) -> Authenticator:
    """A passkey of the trader's."""
    made = Authenticator()
    assert (await add_passkey(trader.client, made)).status_code == 200
    return made


async def answer(browser: httpx.AsyncClient, given: str, path: str = ANSWER) -> httpx.Response:
    return await browser.post(path, data={"passkey": given})


async def test_the_first_passkey_brings_recovery_codes_and_a_new_token(app: Any, trader: SignedIn) -> None:
    before = trader.client.cookies[COOKIE]
    made = await add_passkey(trader.client, Authenticator(), "Work laptop")
    assert len(read_codes(made)) == 10
    assert trader.client.cookies[COOKIE] != before
    assert "Work laptop" in Page(await trader.client.get("/security")).text
    second = await add_passkey(trader.client, Authenticator(credential_id=b"second"), "Phone")
    assert second.status_code == 303
    trader.client.headers["Host"] = "localhost:8000"  # where passkeys work, and their errors are shown
    taken = await add_passkey(trader.client, Authenticator(credential_id=b"second"), "Phone again")
    assert taken.status_code == 422
    assert "in use already" in taken.text
    assert await count_rows(app, "passkeys") == 2
    assert (await list_actions(app)).count("factor.passkey_added") == 2


async def test_a_passkey_signs_in_without_a_password(
    app: Any, trader: SignedIn, device: Authenticator, make_client: MakeClient
) -> None:
    async with make_client() as browser:
        options = await ask(browser, OPTIONS)
        assert options["allowCredentials"] == []
        assert options["userVerification"] == "required"
        opened = await browser.post(ANSWER, data={"passkey": device.get(options), "next": "/activity"})
        assert opened.status_code == 303
        assert opened.headers["location"] == "/activity"
        assert trader.email in (await browser.get("/security")).text
        assert "by passkey" in (await browser.get("/activity")).text
        assert (await browser.get("/credentials/connect/htx")).status_code == 200


async def test_a_passkey_is_the_second_factor(trader: SignedIn, device: Authenticator, make_client: MakeClient) -> None:
    async with make_client() as browser:
        assert (await sign_in(browser, trader.email)).headers["location"] == "/sign-in/code"
        page = Page(await browser.get(CODE))
        assert page.heading == "Recovery code"  # there is no app; the passkey's own button needs the name localhost
        options = await ask(browser, CODE_OPTIONS)
        assert len(options["allowCredentials"]) == 1
        assert (await answer(browser, device.get(options), CODE)).status_code == 303
        assert (await browser.get("/security")).status_code == 200


@pytest.mark.parametrize(
    "spoilt",
    [
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "https://localhost:8000"},
        {"origin": "http://localhost:8000.evil.example"},
        {"rp_id": "evil.example"},
        {"is_verified": False},
        {"step": 0},
        {"step": -1},
        {"user_handle": "dXNyX290aGVy"},
        {"user_handle": ""},
        {"credential_id": b"unknown"},
        {"key": Authenticator().key},
    ],
    ids=" ".join,
)
async def test_a_spoilt_answer_opens_nothing_and_a_good_one_still_does(
    app: Any, trader: SignedIn, device: Authenticator, make_client: MakeClient, spoilt: dict[str, Any]
) -> None:
    async with make_client() as browser:
        first = device.get(await ask(browser, OPTIONS))
        assert (await answer(browser, first)).status_code == 303
        browser.cookies.clear()
        changed = replace(device, **spoilt)
        refused = await answer(browser, changed.get(await ask(browser, OPTIONS)))
        assert refused.status_code == 401
        assert COOKIE not in browser.cookies
        device.sign_count = max(device.sign_count, changed.sign_count)
        assert (await answer(browser, device.get(await ask(browser, OPTIONS)))).status_code == 303
    known = "credential_id" not in spoilt and "user_handle" not in spoilt
    assert ("user.passkey_refused" in await list_actions(app)) is known


async def test_a_challenge_is_good_once_for_five_minutes_and_for_its_own_purpose(
    app: Any, trader: SignedIn, device: Authenticator, make_client: MakeClient, clock: Any
) -> None:
    async with make_client() as browser:
        options = await ask(browser, OPTIONS)
        assert (await answer(browser, device.get(options))).status_code == 303
        browser.cookies.clear()
        assert (await answer(browser, device.get(options))).status_code == 401
        late = await ask(browser, OPTIONS)
        clock.advance(minutes=5)
        assert (await answer(browser, device.get(late))).status_code == 401
        burnt = await ask(browser, OPTIONS)
        assert (await answer(browser, replace(device, is_verified=False).get(burnt))).status_code == 401
        device.sign_count += 1
        assert (await answer(browser, device.get(burnt))).status_code == 401
        await sign_in(browser, trader.email)
        for_code, for_sign_in = await ask(browser, CODE_OPTIONS), await ask(browser, OPTIONS)
        assert (await answer(browser, device.get(for_sign_in), CODE)).status_code == 401
        assert (await answer(browser, device.get(for_code))).status_code == 401
        assert (await answer(browser, device.get(await ask(browser, CODE_OPTIONS)), CODE)).status_code == 303


async def test_a_challenge_of_one_half_open_sign_in_does_not_finish_another(
    trader: SignedIn, device: Authenticator, make_client: MakeClient
) -> None:
    async with make_client() as one, make_client() as two:
        await sign_in(one, trader.email)
        await sign_in(two, trader.email)
        given = device.get(await ask(one, CODE_OPTIONS))
        assert (await answer(two, given, CODE)).status_code == 401
        assert (await answer(one, device.get(await ask(one, CODE_OPTIONS)), CODE)).status_code == 303


async def test_another_persons_passkey_is_no_second_factor(
    app: Any, trader: SignedIn, device: Authenticator, make_client: MakeClient
) -> None:
    other = await add_person(app, "two@example.org", Role.TRADER)
    async with make_client() as browser:
        await sign_in(browser, other.email)
        theirs = Authenticator(credential_id=b"theirs")
        await add_passkey(browser, theirs)
        await browser.post("/sign-out")
        await sign_in(browser, trader.email)
        assert (await answer(browser, theirs.get(await ask(browser, CODE_OPTIONS)), CODE)).status_code == 401
        assert (await answer(browser, device.get(await ask(browser, CODE_OPTIONS)), CODE)).status_code == 303


@pytest.mark.parametrize(
    "given", ["", "{}", "[]", "null", "x" * 40_000, '{"rawId": 1, "response": {}}', '{"response": "x"}', "\ud83d"]
)
async def test_nonsense_is_refused(trader: SignedIn, make_client: MakeClient, given: str) -> None:
    async with make_client() as browser:
        text = given.encode("utf-8", "replace").decode()
        assert (await answer(browser, text)).status_code == 401
        assert (await answer(trader.client, text, "/security/passkeys")).status_code == 422


async def test_an_id_longer_than_the_standard_allows_is_refused(app: Any, trader: SignedIn) -> None:
    assert (await add_passkey(trader.client, Authenticator(credential_id=b"x" * 1024))).status_code == 422
    assert (await add_passkey(trader.client, Authenticator(credential_id=b"x" * 1023))).status_code == 200
    assert await count_rows(app, "passkeys") == 1


async def test_a_disabled_person_has_no_passkey(
    app: Any, trader: SignedIn, device: Authenticator, make_client: MakeClient
) -> None:
    await add_person(app, "operator@example.org", Role.OPERATOR)
    async with Unit(app) as accounts:
        await accounts.disable(trader.user_id)
    async with make_client() as browser:
        assert (await answer(browser, device.get(await ask(browser, OPTIONS)))).status_code == 401


async def test_passkeys_are_renamed_and_removed(
    app: Any, trader: SignedIn, device: Authenticator, make_client: MakeClient
) -> None:
    async with make_client() as other:
        assert (await answer(other, device.get(await ask(other, OPTIONS)))).status_code == 303
        async with Unit(app) as accounts:
            (found,) = (await accounts.list_factors(trader.user_id)).passkeys
        page = f"/security/passkeys/{found.id}"
        assert (await trader.client.post(f"{page}/rename", data={"name": "<i>Desk"})).status_code == 303
        assert "&lt;i&gt;Desk" in (await trader.client.get("/security")).text
        assert "Passkey renamed" in (await trader.client.get("/activity")).text
        assert (await trader.client.post(f"{page}/rename", data={"name": ""})).status_code == 422
        stranger = await add_person(app, "two@example.org", Role.TRADER)
        async with make_client() as theirs:
            await sign_in(theirs, stranger.email)
            assert (await theirs.post(f"{page}/remove")).status_code == 404
            assert (await theirs.post(f"{page}/rename", data={"name": "x"})).status_code == 404
        assert (await other.get("/security")).status_code == 200
        assert (await trader.client.post(f"{page}/remove")).status_code == 303
        assert (await other.get("/security")).status_code == 303
        assert (await answer(other, device.get(await ask(other, OPTIONS)))).status_code == 401
    assert await count_rows(app, "recovery_codes") == 0


async def test_codes_stay_while_another_factor_does(trader: SignedIn, device: Authenticator, clock: Any, app: Any) -> None:
    _, codes = await set_up_app(trader.client, clock)
    assert codes == []
    assert (await trader.client.post("/security/two-step/app/remove")).status_code == 303
    assert await count_rows(app, "recovery_codes") == 10


async def test_an_address_cannot_hold_challenges_without_end(app: Any, client: httpx.AsyncClient, clock: Any) -> None:
    for _ in range(100):
        await ask(client, OPTIONS)
    refused = await client.post(OPTIONS, headers={"Accept": "application/problem+json"})
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "300"
    clock.advance(minutes=5)
    await ask(client, OPTIONS)
    assert await count_rows(app, "passkey_challenges") == 1


@pytest.mark.parametrize(
    ("public_url", "name", "origin"),
    [
        ("http://127.0.0.1:8000", "localhost", "http://localhost:8000"),
        ("http://localhost", "localhost", "http://localhost"),
        ("http://[::1]:9", "localhost", "http://localhost:9"),
        ("https://keydeck.example.org", "keydeck.example.org", "https://keydeck.example.org"),
        ("https://keydeck.example.org:443", "keydeck.example.org", "https://keydeck.example.org"),
        ("https://keydeck.example.org:8443", "keydeck.example.org", "https://keydeck.example.org:8443"),
        ("https://203.0.113.9", None, None),
        ("https://[2001:db8::1]", None, None),
        ("http://keydeck.lan", None, None),
    ],
)
def test_passkeys_belong_to_a_name_under_https_or_to_localhost(public_url: str, name: str | None, origin: str | None) -> None:
    party = find_relying_party(public_url)
    assert (party.id if party else None) == name
    assert (party.origin if party else None) == origin


async def test_the_page_says_where_passkeys_work(app: Any, client: httpx.AsyncClient) -> None:
    assert "http://localhost:8000/sign-in" in Page(await client.get("/sign-in")).links.values()
    by_name = Page(await client.get("/sign-in", headers={"Host": "localhost:8000"}))
    assert by_name.form("/sign-in/passkey").element.attributes["data-passkey-options"] == OPTIONS
    app.state.settings = app.state.settings.model_copy(update={"public_url": "https://203.0.113.9"})
    refused = await client.post(OPTIONS, headers={"Accept": "application/problem+json"})
    assert refused.json()["code"] == "passkeys_unavailable"
