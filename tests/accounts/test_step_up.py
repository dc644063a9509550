"""A fresh proof before what matters: asked for in time, taken once, and nothing lost on the way."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import COOKIE, add_person, count_rows, find_copied, list_actions, sign_in
from tests.accounts.factors import add_passkey, ask, confirm, set_up_app
from tests.pages import Page, submit
from tests.people import SignedIn

MakeClient = Callable[[], httpx.AsyncClient]
JSON = {"Accept": "application/problem+json"}


@pytest.fixture
async def stale(signed_in: SignedIn, clock: Any) -> httpx.AsyncClient:
    """A trader and operator whose last proof is just too old."""
    clock.advance(minutes=5, seconds=1)
    return signed_in.client


async def test_a_proof_lasts_five_minutes(signed_in: SignedIn, clock: Any) -> None:
    clock.advance(minutes=5)
    assert (await signed_in.client.get("/credentials/connect/htx")).status_code == 200
    clock.advance(seconds=1)
    asked = await signed_in.client.get("/credentials/connect/htx?plan=balances")
    assert asked.headers["location"] == "/security/confirm?next=/credentials/connect/htx%3Fplan%3Dbalances"
    for path in ("/credentials", "/credentials/connect", "/security", "/people", "/activity"):
        assert (await signed_in.client.get(path)).status_code == 200, path


async def test_after_the_proof_the_page_comes_and_the_token_is_new(app: Any, stale: httpx.AsyncClient) -> None:
    before = stale.cookies[COOKIE]
    page = Page(await stale.get("/credentials/connect/htx?plan=balances", follow_redirects=True))
    assert page.heading == "Confirm that it is you"
    form = page.form("/security/confirm")
    wrong = Page(await submit(stale, form, confirm_password="not the password"))
    assert wrong.status == 422
    assert wrong.form("/security/confirm").error_of("confirm_password") == "This is not your password. 4 tries left."
    right = await submit(stale, wrong.form("/security/confirm"), confirm_password="correct horse battery staple")
    assert str(right.url).endswith("/credentials/connect/htx?plan=balances")
    assert stale.cookies[COOKIE] != before
    stale.cookies.set(COOKIE, before, domain="127.0.0.1")
    assert (await stale.get("/security")).status_code == 303
    assert {"user.proof_failed", "user.confirmed"} <= set(await list_actions(app))


async def test_a_form_that_comes_too_late_is_kept_and_sent_again(app: Any, stale: httpx.AsyncClient) -> None:
    form = {"name": "bot & <co>", "scope": ["status:read", "balances:read"], "expires_in_days": "30"}
    late = await stale.post("/security/tokens", data=form)
    assert late.status_code == 403
    assert await count_rows(app, "api_tokens") == 0
    page = Page(late)
    kept = [(one.attributes["name"], one.attributes["value"]) for one in page.find(tag="input", type="hidden", hidden=True)]
    assert ("name", "bot & <co>") in kept
    assert [value for name, value in kept if name == "scope"] == ["status:read", "balances:read"]
    wrong = Page(await stale.post("/security/confirm", data=_encode(kept, confirm_password="no")))
    kept = [(one.attributes["name"], one.attributes["value"]) for one in wrong.find(tag="input", type="hidden", hidden=True)]
    data = _encode(kept, confirm_password="correct horse battery staple")
    done = await stale.post("/security/confirm", data=data, follow_redirects=True)
    assert done.status_code == 200, done.text
    assert find_copied(done.text).startswith("kd_")
    assert await count_rows(app, "api_tokens") == 1


@pytest.mark.parametrize(
    "again", ["", "/security/tokens", "/credentials/connect/htx", "/credentials/connect/nowhere", "/nowhere"]
)
async def test_nothing_but_what_the_page_keeps_is_shown_again(stale: httpx.AsyncClient, again: str) -> None:
    strays = {name: f"{name}-is-secret" for name in ("secret_key", "password", "current_password", "token", "plain")}
    refused = await stale.post(
        "/security/confirm", data={"confirm_password": "no", "confirm_again": again, "name": "bot", **strays}
    )
    assert refused.status_code == 422
    assert "is-secret" not in refused.text
    hidden = [one.attributes["name"] for one in Page(refused).find(tag="input", type="hidden", hidden=True)]
    assert ("name" in hidden) is (again == "/security/tokens")
    assert not set(strays) & set(hidden)
    assert (await confirm(stale)).status_code == 303


def _encode(pairs: list[tuple[str, str]], **more: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [value] for name, value in more.items()}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


async def test_no_secret_travels_through_the_page_that_asks(app: Any, stale: httpx.AsyncClient, signed_in: SignedIn) -> None:
    (key,) = [one for one in app.state.sandbox_keys if (one.exchange, one.scenario) == ("htx", "read-only")]
    secrets = key.show_secrets()
    form = {"environment": "sandbox", "plan": "balances", "label": "Desk", "attested": "yes", **secrets}
    late = await stale.post("/credentials/connect/htx", data=form)
    assert late.status_code == 403
    for value in secrets.values():
        assert value not in late.text
    again = await submit(stale, Page(late).form("/security/confirm"), confirm_password="correct horse battery staple")
    assert again.status_code == 200
    shown = Page(again).form("/credentials/connect/htx").values
    assert (shown["label"], shown["environment"], shown["plan"], shown["attested"]) == ("Desk", "sandbox", "balances", "yes")
    assert shown["secret_key"] == ""
    assert await count_rows(app, "credentials") == 0
    done = await submit(stale, Page(again).form("/credentials/connect/htx"), **secrets)
    assert "Connected: Desk" in Page(done).text
    assert await count_rows(app, "credentials") == 1


async def test_a_secret_in_the_label_is_dropped(app: Any, stale: httpx.AsyncClient) -> None:
    form = {"label": "my very-long-secret-value", "api_key": "abcdefgh12345", "secret_key": "very-long-secret-value"}
    late = await stale.post("/credentials/connect/htx", data=form)
    assert "very-long-secret-value" not in late.text


async def test_disconnecting_goes_on_after_the_proof(app: Any, signed_in: SignedIn, clock: Any) -> None:
    (key,) = [one for one in app.state.sandbox_keys if (one.exchange, one.scenario) == ("htx", "read-only")]
    form = {"environment": "sandbox", "plan": "balances", "label": "Desk", **key.show_secrets()}
    made = await signed_in.client.post("/credentials/connect/htx", data=form)
    page = made.headers["location"].split("?")[0]
    clock.advance(minutes=6)
    assert (await signed_in.client.get(f"{page}/disconnect")).headers["location"].startswith("/security/confirm")
    assert (await signed_in.client.get(f"{page}/replace")).headers["location"].startswith("/security/confirm")
    assert (await signed_in.client.post(f"{page}/replace", data=key.show_secrets())).status_code == 403
    late = await signed_in.client.post(f"{page}/disconnect")
    assert late.status_code == 403
    assert await count_rows(app, "credentials") == 1
    done = await submit(signed_in.client, Page(late).form("/security/confirm"), confirm_password="correct horse battery staple")
    assert done.status_code == 200
    assert await count_rows(app, "credentials") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/security/password",
        "/security/tokens",
        "/security/tokens/tok_x/revoke",
        "/security/two-step/app",
        "/security/two-step/app/confirm",
        "/security/two-step/app/remove",
        "/security/two-step/codes",
        "/security/passkeys",
        "/security/passkeys/options",
        "/security/passkeys/pky_x/remove",
        "/security/passkeys/pky_x/rename",
        "/people/invitations",
        "/people/invitations/inv_x/cancel",
        "/people/usr_x/roles",
        "/people/usr_x/disable",
        "/people/usr_x/enable",
        "/credentials/connect/htx",
        "/credentials/crd_x/replace",
        "/credentials/crd_x/disconnect",
    ],
)
async def test_what_matters_asks_for_a_proof(stale: httpx.AsyncClient, path: str) -> None:
    page = await stale.post(path, data={})
    assert page.status_code == 403
    assert Page(page).heading == "Confirm that it is you"
    document = await stale.post(path, data={}, headers=JSON)
    assert document.status_code == 403
    assert document.json()["code"] == "proof_needed"


async def test_a_program_confirms_in_place(stale: httpx.AsyncClient) -> None:
    wrong = await stale.post("/security/confirm", data={"confirm_password": "no"}, headers=JSON)
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["loc"] == ["confirm_password"]
    right = await stale.post("/security/confirm", data={"confirm_password": "correct horse battery staple"}, headers=JSON)
    assert right.json() == {"confirmed": True}
    assert (await stale.get("/credentials/connect/htx")).status_code == 200


async def test_with_a_factor_the_password_alone_is_no_proof(signed_in: SignedIn, clock: Any) -> None:
    browser = signed_in.client
    phone, codes = await set_up_app(browser, clock)
    clock.advance(minutes=6)
    alone = Page(await confirm(browser))
    assert alone.form("/security/confirm").error_of("confirm_code") == "Your second factor is needed too."
    assert "is not right" in (await confirm(browser, confirm_code="000000")).text
    assert (await browser.get("/credentials/connect/htx")).status_code == 303
    assert (await confirm(browser, confirm_code=phone.show(clock()))).status_code == 303
    assert (await browser.get("/credentials/connect/htx")).status_code == 200
    clock.advance(minutes=6)
    assert (await confirm(browser, confirm_code=codes[0])).status_code == 303


async def test_a_passkey_is_a_proof_by_itself(signed_in: SignedIn, clock: Any, make_client: MakeClient) -> None:
    browser, device = signed_in.client, Authenticator()
    await add_passkey(browser, device)
    clock.advance(minutes=6)
    options = await ask(browser, "/security/confirm/options")
    given = device.get(options)
    assert (await browser.post("/security/confirm", data={"confirm_passkey": given})).status_code == 303
    assert (await browser.get("/credentials/connect/htx")).status_code == 200
    again = await browser.post("/security/confirm", data={"confirm_passkey": given}, headers={"Host": "localhost:8000"})
    assert "not accepted" in again.text
    async with make_client() as other:
        await other.post("/sign-in/passkey", data={"passkey": device.get(await ask(other, "/sign-in/passkey/options"))})
        theirs = device.get(await ask(other, "/security/confirm/options"))
        assert (await browser.post("/security/confirm", data={"confirm_passkey": theirs})).status_code == 422


async def test_guessing_the_password_of_an_open_session_ends_after_five(app: Any, stale: httpx.AsyncClient, clock: Any) -> None:
    for _ in range(5):
        await stale.post("/security/confirm", data={"confirm_password": "a guess at it"})
    refused = await confirm(stale)
    assert "Too many tries" in refused.text
    assert await count_rows(app, "factor_tries") == 5
    for _ in range(2):
        clock.advance(minutes=30)
        assert (await stale.get("/security")).status_code == 200
    assert (await confirm(stale)).status_code == 303


@pytest.mark.parametrize("where", ["https://evil.example", "//evil.example", "/sign-in", "/security/confirm"])
async def test_the_way_back_stays_here(stale: httpx.AsyncClient, where: str) -> None:
    for name in ("confirm_next", "confirm_again"):
        assert (await confirm(stale, **{name: where})).headers["location"] == "/security"


async def test_changing_the_password_asks_first_and_renews_the_token(
    signed_in: SignedIn, clock: Any, make_client: MakeClient
) -> None:
    browser = signed_in.client
    clock.advance(minutes=6)
    page = Page(await browser.get("/security"))
    assert page.links["Change password"] == "/security/confirm?next=/security%23password-title"
    await confirm(browser)
    async with make_client() as other:
        await sign_in(other, signed_in.email)
        before = browser.cookies[COOKIE]
        form = {"current_password": "correct horse battery staple", "new_password": "another long password"}
        assert (await browser.post("/security/password", data=form)).status_code == 303
        assert browser.cookies[COOKIE] != before
        assert (await browser.get("/security")).status_code == 200
        assert (await other.get("/security")).status_code == 303


async def test_on_this_machine_alone_it_is_offered_and_can_be_put_off(signed_in: SignedIn) -> None:
    page = Page(await signed_in.client.get("/activity"))
    assert "development instance" in page.text
    later = await submit(signed_in.client, page.form("/security/two-step/later"))
    assert str(later.url).endswith("/activity")
    after = Page(await signed_in.client.get("/activity"))
    assert not [one for one in after.find(tag="form") if one.attributes.get("action") == "/security/two-step/later"]
    assert "no second factor is asked of your role" in after.text


async def test_a_trader_puts_the_offer_off(app: Any, client: httpx.AsyncClient) -> None:
    user = await add_person(app, "one@example.org", Role.TRADER)
    await sign_in(client, user.email)
    page = Page(await client.get("/credentials"))
    assert "a stolen password is enough" in page.text
    await submit(client, page.form("/security/two-step/later"))
    assert "stolen password" not in Page(await client.get("/credentials")).text


async def test_staying_signed_in_goes_on_until_the_session_is_twelve_hours_old(signed_in: SignedIn, clock: Any) -> None:
    async def stay() -> int:
        return int((await signed_in.client.post("/security/stay", headers=JSON)).json()["seconds"])

    assert await stay() == 3600
    for _ in range(12):
        clock.advance(minutes=55)
        assert await stay() == 3600
    clock.advance(minutes=50)
    assert await stay() == 10 * 60
    clock.advance(minutes=10)
    ended = await signed_in.client.post("/security/stay", headers=JSON)
    assert ended.status_code == 401


async def test_many_guesses_of_the_password_at_once_tell_five_answers(app: Any, stale: httpx.AsyncClient) -> None:
    guesses = [confirm(stale, confirm_password="a guess at it") for _ in range(15)]
    answers = await asyncio.gather(*guesses)
    assert sum("not your password" in answer.text for answer in answers) == 5
    assert "Too many tries" in (await confirm(stale)).text
    assert await count_rows(app, "factor_tries") == 5
