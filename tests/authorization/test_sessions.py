"""No session outlives its end: whatever ended it, the old cookie opens nothing, on a page, in the API or by a form."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.doors import PASSWORD, Unit, add_person, find_copied
from tests.accounts.factors import Phone, begin_app
from tests.authorization.conftest import open_client
from tests.authorization.matrix import FILE, name_outcome, read_table
from tests.authorization.routes import fill, make_request
from tests.authorization.world import BROWSER, World, keep_cookies

COOKIE = "__Host-keydeck_session"
NEW_PASSWORD = "quiet orange lantern harbour"
End = Callable[["Victim"], Awaitable[object]]


class Victim:
    """A trader signed in twice: in a browser of their own, and in one whose cookie somebody has copied."""

    def __init__(self, app: Any, clock: Any) -> None:
        self.world = World(app, open_client(app), clock)
        self.browser = open_client(app)
        self.browser.headers.update(BROWSER)
        self.email = "alice@example.org"
        self.user_id = ""
        self.stolen: dict[str, str] = {}

    @property
    def own(self) -> dict[str, str]:
        return {**BROWSER, "Cookie": f"{COOKIE}={self.browser.cookies[COOKIE]}"}

    async def arrive(self) -> None:
        self.user_id = (await add_person(self.world.app, self.email, Role.TRADER)).id
        self.stolen = await self.world.sign_in("alice")
        answer = await self.browser.post("/sign-in", data={"email": self.email, "password": PASSWORD})
        assert answer.status_code == 303

    async def post(self, path: str, **fields: str) -> httpx.Response:
        answer = await self.browser.post(path, data=fields)
        assert answer.status_code in (200, 303), f"{path}: {answer.status_code}"
        return answer

    async def is_let_in(self, headers: dict[str, str]) -> list[str]:
        """Return every way in which a cookie still works."""
        tried = [("GET", "/credentials"), ("GET", "/security"), ("GET", "/api/v1/account"), ("GET", "/live")]
        tried += [("POST", "/credentials/check-all"), ("POST", "/security/two-step/later"), ("GET", "/security/confirm")]
        outcomes = {path: name_outcome(await self.world.ask(method, path, headers=headers)) for method, path in tried}
        return [path for path, outcome in outcomes.items() if outcome not in ("sign-in", "401")]


@pytest.fixture
async def victim(app: Any, clock: Any) -> Any:
    found = Victim(app, clock)
    await found.arrive()
    assert len(await found.is_let_in(found.stolen)) == 7, "the control: before the end the cookie works"
    yield found
    await found.browser.aclose()
    await found.world.client.aclose()


async def set_up_app(victim: Victim) -> Phone:
    phone = await begin_app(victim.browser)
    await victim.post("/security/two-step/app/confirm", code=phone.show(victim.world.clock()))
    return phone


async def remove_app(victim: Victim) -> None:
    phone = await set_up_app(victim)
    victim.world.phones["alice"] = phone
    victim.stolen = await victim.world.sign_in("alice")
    await victim.post("/security/two-step/app/remove")


async def sign_out_there(victim: Victim) -> None:
    answer = await victim.world.ask("POST", "/sign-out", headers=victim.stolen)
    assert answer.status_code == 303


async def confirm_there(victim: Victim) -> None:
    """A fresh proof gives the session a new token: a copy of the old one is worthless."""
    answer = await victim.world.ask("POST", "/security/confirm", headers=victim.stolen, data={"confirm_password": PASSWORD})
    assert COOKIE in answer.cookies


async def sign_in_anew_there(victim: Victim) -> None:
    form = {"email": victim.email, "password": PASSWORD}
    assert COOKIE in (await victim.world.ask("POST", "/sign-in", headers=victim.stolen, data=form)).cookies


async def change_password_there(victim: Victim) -> None:
    form = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert COOKIE in (await victim.world.ask("POST", "/security/password", headers=victim.stolen, data=form)).cookies


async def end_by_operator(victim: Victim, *, verb: str) -> httpx.Response:
    await add_person(victim.world.app, "olga@example.org", Role.OPERATOR)
    await victim.world.give_phone("olga")
    operator = await victim.world.sign_in("olga")
    answer = await victim.world.ask("POST", f"/people/{victim.user_id}/{verb}", headers=operator)
    assert answer.status_code in (200, 303), answer.status_code
    return answer


async def disable_and_enable(victim: Victim) -> None:
    await end_by_operator(victim, verb="disable")
    async with Unit(victim.world.app) as accounts:
        await accounts.enable(victim.user_id)


async def reset_password(victim: Victim) -> None:
    token = find_copied((await end_by_operator(victim, verb="reset-link")).text).split("token=")[1]
    form = {"token": token, "new_password": NEW_PASSWORD}
    assert (await victim.world.ask("POST", "/reset", headers=BROWSER, data=form)).status_code == 303


async def idle_for_an_hour(victim: Victim) -> None:
    victim.world.clock.advance(hours=1, seconds=1)


async def stay_for_twelve_hours(victim: Victim) -> None:
    for _ in range(24):
        victim.world.clock.advance(minutes=30, seconds=5)
        await victim.world.ask("GET", "/security", headers=victim.stolen)


ENDS: dict[str, End] = {
    "signed out": sign_out_there,
    "signed in anew in the same browser": sign_in_anew_there,
    "confirmed who they are": confirm_there,
    "changed the password": change_password_there,
    "changed the password elsewhere": lambda victim: victim.post(
        "/security/password", current_password=PASSWORD, new_password=NEW_PASSWORD
    ),
    "set up a factor elsewhere": set_up_app,
    "removed a factor elsewhere": remove_app,
    "ended all others elsewhere": lambda victim: victim.post("/security/sessions/end-others"),
    "was signed out by an operator": lambda victim: end_by_operator(victim, verb="sign-out"),
    "was disabled": lambda victim: end_by_operator(victim, verb="disable"),
    "was disabled and enabled": disable_and_enable,
    "reset the password": reset_password,
    "was idle": idle_for_an_hour,
    "stayed too long": stay_for_twelve_hours,
}


@pytest.mark.parametrize("name", ENDS)
async def test_the_old_cookie_opens_nothing_after_the_person(victim: Victim, name: str) -> None:
    await ENDS[name](victim)
    assert await victim.is_let_in(victim.stolen) == []


@pytest.mark.parametrize("name", ["changed the password elsewhere", "set up a factor elsewhere"])
async def test_who_made_the_change_stays_in_under_a_new_token(victim: Victim, name: str) -> None:
    before = victim.own
    await ENDS[name](victim)
    assert victim.own != before
    assert await victim.is_let_in(before) == []
    assert len(await victim.is_let_in(victim.own)) == 7


async def test_a_planted_cookie_is_never_adopted(victim: Victim, app: Any) -> None:
    """Fixation: neither a made-up token nor the attacker's own session becomes the victim's."""
    await add_person(app, "mallory@example.org", Role.TRADER)
    attacker = await victim.world.sign_in("mallory")
    for planted in ("x" * 43, attacker["Cookie"].partition(f"{COOKIE}=")[2].partition(";")[0]):
        headers = {**BROWSER, "Cookie": f"{COOKIE}={planted}"}
        form = {"email": victim.email, "password": PASSWORD}
        answer = await victim.world.ask("POST", "/sign-in", headers=headers, data=form)
        assert answer.cookies[COOKIE] != planted
        assert await victim.is_let_in(headers) == []
        assert (await victim.world.ask("GET", "/api/v1/account", headers=keep_cookies(answer))).json()["email"] == victim.email


async def test_one_kind_of_token_does_not_pass_for_another(victim: Victim) -> None:
    phone = await set_up_app(victim)
    victim.world.phones["alice"] = phone
    half = await victim.world.begin_sign_in("alice")
    pending = half["Cookie"].partition("keydeck_pending=")[2].partition(";")[0]
    session = victim.own["Cookie"].partition("=")[2]
    async with Unit(victim.world.app) as accounts:
        bearer = (await accounts.create_token(victim.user_id, name="bot")).token.reveal()
    assert pending
    for token in (pending, bearer):
        assert await victim.is_let_in({**BROWSER, "Cookie": f"{COOKIE}={token}"}) == []
    for token in (session, pending):
        answer = await victim.world.ask("GET", "/api/v1/account", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    for token in (session, bearer):
        headers = {**BROWSER, "Cookie": f"__Host-keydeck_pending={token}"}
        assert name_outcome(await victim.world.ask("GET", "/sign-in/code", headers=headers)) == "sign-in"


NEEDS_PROOF = {
    "stale": {
        ("POST", "/credentials/connect/{slug}"),
        ("POST", "/credentials/{credential_id}/replace"),
        ("POST", "/credentials/{credential_id}/disconnect"),
        ("POST", "/security/tokens"),
        ("POST", "/security/password"),
        ("POST", "/security/two-step/app"),
        ("POST", "/security/two-step/app/confirm"),
        ("POST", "/security/two-step/app/remove"),
        ("POST", "/security/two-step/codes"),
        ("POST", "/security/passkeys"),
        ("POST", "/security/passkeys/{passkey_id}/remove"),
    },
    "stale-op": {
        ("POST", "/people/invitations"),
        ("POST", "/people/{user_id}/roles"),
        ("POST", "/people/{user_id}/disable"),
        ("POST", "/people/{user_id}/enable"),
        ("POST", "/people/{user_id}/sign-out"),
        ("POST", "/people/{user_id}/reset-link"),
        ("POST", "/people/{user_id}/factor-reset"),
    },
}

KEPT = ("credentials", "credential_secrets", "api_tokens", "totp_factors", "recovery_codes", "passkeys", "users", "invitations")


@pytest.mark.parametrize("principal", NEEDS_PROOF)
async def test_a_stolen_cookie_with_an_old_proof_changes_nothing_that_matters(world: World, principal: str) -> None:
    """Not one row of any key, secret, token, factor, password, role or invitation is another one afterwards."""
    for method, path in sorted(NEEDS_PROOF[principal]):
        sent = make_request(method, path, world=world, principal=principal)
        answer = await world.ask(method, fill(path, world), headers=world.doors[principal], **sent)
        assert name_outcome(answer) == "proof", f"{method} {path}"
    before = world.stored
    await world.save()
    kept = (
        "credentials",
        "credential_secrets",
        "api_tokens",
        "totp_factors",
        "recovery_codes",
        "passkeys",
        "users",
        "invitations",
    )
    for table in kept:
        assert world.stored[table] == before[table], table


def test_the_table_says_so_too() -> None:
    table = read_table(FILE.read_text())
    for principal, rows in NEEDS_PROOF.items():
        assert [row for row in rows if table[row][principal] != "proof"] == []
