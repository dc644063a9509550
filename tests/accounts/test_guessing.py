"""Guessing passwords: a thousand tries reach few judgements, tell nothing, and never keep the owner out."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.accounts.roles import Role
from app.main import Outside, create_app
from app.settings import Settings
from tests.accounts.attackers import CountedPasswords, browse, list_addresses
from tests.accounts.authenticator import Authenticator
from tests.accounts.doors import PASSWORD, Unit, add_person, count_rows, list_actions, sign_in
from tests.accounts.factors import add_passkey, ask

OWNER = "owner@example.org"
NOBODY = "nobod@example.org"  # as long as the owner's
WRONG = "not the right password"


@pytest.fixture
def passwords() -> CountedPasswords:
    return CountedPasswords()


@pytest.fixture
def outside(outside: Outside, passwords: CountedPasswords) -> Outside:
    return replace(outside, passwords=passwords)


@pytest.fixture
async def owner(app: Any) -> str:
    return (await add_person(app, OWNER, Role.TRADER)).id


async def guess(app: Any, ip: str, times: int, *, email: str = OWNER, **headers: str) -> list[int]:
    async with browse(app, ip, **headers) as client:
        return [(await sign_in(client, email, WRONG)).status_code for _ in range(times)]


@pytest.mark.parametrize("addresses", [1, 200])
async def test_a_thousand_tries_and_the_owner_still_gets_in(
    app: Any, owner: str, passwords: CountedPasswords, clock: Any, addresses: int
) -> None:
    async with browse(app, "203.0.113.7") as home:
        assert (await sign_in(home, OWNER)).status_code == 303
        device = Authenticator()
        assert (await add_passkey(home, device)).status_code < 400
        await home.post("/sign-out")
        passwords.judged = 0

        answers: list[int] = []
        for ip in list_addresses(addresses):
            answers += await guess(app, ip, 1000 // addresses)
        assert len(answers) == 1000
        assert set(answers) == {401, 429}
        assert passwords.judged == answers.count(401) == (8 if addresses == 1 else 12)

        assert (await sign_in(home, OWNER)).headers["location"].startswith("/sign-in/code"), "the browser is known"
        home.cookies.clear()
        assert (await sign_in(home, OWNER)).headers["location"].startswith("/sign-in/code"), "the address is known"
    async with browse(app, "192.0.2.99") as elsewhere:
        passkey = device.get(await ask(elsewhere, "/sign-in/passkey/options"))
        assert (await elsewhere.post("/sign-in/passkey", data={"passkey": passkey})).status_code == 303, "a passkey is enough"
        assert (await elsewhere.get("/credentials")).status_code == 200
    async with browse(app, "192.0.2.77") as stranger:
        waiting = await sign_in(stranger, OWNER)
        assert waiting.status_code == (429 if addresses > 1 else 303)
        clock.advance(hours=1)
        assert (await sign_in(stranger, OWNER)).status_code == 303, "nobody is kept out for long"


async def test_a_day_of_guessing_from_everywhere(app: Any, owner: str, passwords: CountedPasswords, clock: Any) -> None:
    """Strangers, somebody behind the owner's own address, and somebody with the owner's browser, all day long.

    At most a hundred passwords are judged, nobody is ever told to wait for long, and by the end a letter still opens the way.
    """
    addresses, waits = list_addresses(200), []
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        cookie = f"keydeck_device={home.cookies['keydeck_device']}"
        passwords.judged = 0
        for half_hour in range(48):
            strangers = [(ip, {}) for ip in addresses[half_hour * 4 : half_hour * 4 + 4]]
            for ip, headers in [*strangers, ("203.0.113.7", {}), ("192.0.2.3", {"Cookie": cookie})]:
                for _ in range(6):
                    async with browse(app, ip, **headers) as client:
                        waits.append(int((await sign_in(client, OWNER, WRONG)).headers.get("retry-after", "0")))
            clock.advance(minutes=30)
        assert 60 <= passwords.judged <= 71, "12 + 24 by strangers, 6 + 12 by the address, 5 + 12 by the browser"
        assert 0 < max(waits) <= 2 * 3600
        async with Unit(app) as accounts:
            link = await accounts.make_link(owner, kind="password", way="mail")
        form = {"token": link.link.split("token=")[1], "new_password": "quiet orange lantern harbour"}
        async with browse(app, "192.0.2.200") as elsewhere:
            assert (await elsewhere.post("/reset", data=form)).status_code == 303
            assert (await sign_in(elsewhere, OWNER, form["new_password"])).status_code == 303


async def test_who_waits_as_told_has_a_try_after_hours_of_guessing(app: Any, owner: str, clock: Any) -> None:
    for hour in range(4):
        for ip in list_addresses(200)[hour * 3 : hour * 3 + 3]:
            await guess(app, ip, 8)
        clock.advance(hours=1)
    await guess(app, "198.51.100.250", 8)
    async with browse(app, "192.0.2.77") as stranger:
        refused = await sign_in(stranger, OWNER)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) <= 3600
        clock.advance(seconds=int(refused.headers["retry-after"]))
        assert (await sign_in(stranger, OWNER)).status_code == 303


async def test_a_flood_from_a_thousand_networks_shuts_no_known_place(app: Any, owner: str, clock: Any) -> None:
    """What all strangers share is used up: a known address still gets in, and strangers do five minutes later."""
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
    for number in range(1000):
        await guess(app, f"2001:db8:{number:x}::1", 1, email=f"made-up-{number}@example.org")
    async with browse(app, "2001:db8:ffff::1") as stranger:
        refused = await sign_in(stranger, OWNER)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "300")
        async with browse(app, "203.0.113.7") as home:
            assert (await sign_in(home, OWNER)).status_code == 303
        clock.advance(minutes=5)
        assert (await sign_in(stranger, OWNER)).status_code == 303


async def test_tries_at_once_are_counted_exactly(app: Any, owner: str, passwords: CountedPasswords) -> None:
    answers = await asyncio.gather(*(guess(app, ip, 1) for ip in list_addresses(60)))
    assert passwords.judged == 12
    assert sorted(answers).count([401]) == 12


async def test_two_servers_and_a_restart_share_the_count(
    settings: Settings, outside: Outside, passwords: CountedPasswords
) -> None:
    first, second = create_app(settings, outside=outside), create_app(settings, outside=outside)
    async with first.router.lifespan_context(first), second.router.lifespan_context(second):
        await add_person(first, OWNER, Role.TRADER)
        for number, ip in enumerate(list_addresses(30)):
            await guess(second if number % 2 else first, ip, 1)
    assert passwords.judged == 12
    restarted = create_app(settings, outside=outside)
    async with restarted.router.lifespan_context(restarted):
        assert await guess(restarted, "192.0.2.1", 1) == [429]
    assert passwords.judged == 12


async def test_one_address_cannot_use_up_what_an_account_has(app: Any, owner: str, clock: Any) -> None:
    for _ in range(12):
        await guess(app, "198.51.100.1", 30)
        clock.advance(minutes=5)
    async with browse(app, "192.0.2.5") as elsewhere:
        assert (await sign_in(elsewhere, OWNER)).status_code == 303


async def test_one_address_tries_few_of_many_accounts(app: Any, passwords: CountedPasswords) -> None:
    for number in range(60):
        await guess(app, "198.51.100.1", 1, email=f"person{number}@example.org")
    assert passwords.judged == 30
    assert await guess(app, "198.51.100.2", 1) == [401]


async def test_an_ipv6_network_is_one_address(app: Any, owner: str, passwords: CountedPasswords) -> None:
    for number in range(40):
        await guess(app, f"2001:db8:1:2::{number + 1:x}", 1)
    assert passwords.judged == 8
    assert await guess(app, "2001:db8:1:3::1", 1) == [401]


@pytest.mark.parametrize("trusted", [[], ["10.0.0.1"]])
async def test_a_made_up_forwarded_address_is_no_new_one(
    app: Any, owner: str, passwords: CountedPasswords, trusted: list[str]
) -> None:
    """Without trusted proxies the header is not read; with one, only what that proxy itself added counts."""
    served = ProxyHeadersMiddleware(app, trusted_hosts=trusted) if trusted else app
    for ip in list_addresses(100):
        forwarded = f"{ip}, 198.51.100.9" if trusted else ip
        await guess(served, "10.0.0.1", 1, **{"X-Forwarded-For": forwarded})
    assert passwords.judged == 8


async def test_known_unknown_and_disabled_are_told_the_same(app: Any, owner: str, passwords: CountedPasswords) -> None:
    gone = await add_person(app, "gones@example.org", Role.TRADER)
    await add_person(app, "boss@example.org", Role.OPERATOR)
    async with Unit(app) as accounts:
        await accounts.disable(gone.id)
    seen, work = [], []
    for number, email in enumerate((OWNER, NOBODY, "gones@example.org")):
        before = passwords.judged
        answers = []
        for ip in list_addresses(40):
            async with browse(app, f"192.0.{number}.{ip.rpartition('.')[2]}") as client:
                answers.append(describe(await sign_in(client, email, WRONG), email))
        seen.append(answers)
        work.append(passwords.judged - before)
    assert seen[0] == seen[1] == seen[2]
    assert [answer[0] for answer in seen[0]] == [401] * 12 + [429] * 28
    assert work == [12, 12, 12]
    assert passwords.judged_known == 12


def describe(answer: httpx.Response, email: str) -> tuple[int, str, list[tuple[str, str]]]:
    """Everything an attacker sees, but for the address they typed and the number of the request."""
    headers = [(name, value) for name, value in answer.headers.multi_items() if name != "x-request-id"]
    assert answer.text.count(email) == 1
    return answer.status_code, answer.text.replace(email, "E" * len(email)), headers


async def test_a_refusal_says_how_long_and_nothing_else(app: Any, owner: str, clock: Any) -> None:
    await guess(app, "198.51.100.1", 10)
    clock.advance(seconds=90)
    async with browse(app, "198.51.100.1") as client:
        answer = await sign_in(client, OWNER)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "5310"
        assert "Too many tries. Wait 89 minutes, then try again." in answer.text
        assert f'value="{OWNER}"' in answer.text
        clock.advance(seconds=5310)
        assert (await sign_in(client, OWNER)).status_code == 303


async def test_success_gives_back_only_its_own_try(app: Any, owner: str, passwords: CountedPasswords) -> None:
    """Who knows one account's password cannot clear the way to guess at another's from the same address."""
    await add_person(app, "thief@example.org", Role.TRADER)
    async with browse(app, "198.51.100.1") as client:
        for _ in range(60):
            await sign_in(client, "thief@example.org")
            await sign_in(client, OWNER, WRONG)
            client.cookies.clear()
    assert passwords.judged_known == 60 + 8


async def test_what_is_written_down_is_bounded(app: Any, owner: str) -> None:
    for ip in list_addresses(300):
        await guess(app, ip, 1, email=OWNER)
        await guess(app, ip, 1, email=f"made-up-{ip}@example.org")
    actions = await list_actions(app)
    assert actions.count("user.sign_in_failed") == 12 + 60
    assert actions.count("user.sign_in_refused") == 1
    assert await count_rows(app, "audit_events", "action = 'user.sign_in_failed' AND owner_id IS NOT NULL") == 12


async def test_a_known_browser_is_known_for_its_own_account_only(app: Any, owner: str, passwords: CountedPasswords) -> None:
    await add_person(app, "thief@example.org", Role.TRADER)
    async with browse(app, "198.51.100.1") as client:
        await sign_in(client, "thief@example.org")
        for ip in list_addresses(30):
            await guess(app, ip, 1)
        before = passwords.judged
        assert (await sign_in(client, OWNER, WRONG)).status_code == 429
        assert passwords.judged == before


async def test_a_known_browser_has_a_budget_too(app: Any, owner: str, clock: Any) -> None:
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        answers = [(await sign_in(home, OWNER, WRONG)).status_code for _ in range(21)]
        assert answers == [401] * (5 + 6 + 8) + [429] * 2, "the browser's, the address's, a stranger's"
        clock.advance(minutes=90)
        assert (await sign_in(home, OWNER)).status_code == 303
        clock.advance(days=91)
        assert await count_rows(app, "familiar_places") == 2
        answers = [(await sign_in(home, OWNER, WRONG)).status_code for _ in range(9)]
        assert answers == [401] * 8 + [429]


async def test_open_sign_up_is_limited(app: Any, passwords: CountedPasswords) -> None:
    app.state.settings = app.state.settings.model_copy(update={"open_sign_up": "on"})
    async with browse(app, "198.51.100.1") as client:
        codes = []
        for number in range(12):
            form = {"email": f"new{number}@example.org", "password": "correct horse battery staple"}
            codes.append((await client.post("/sign-up", data=form)).status_code)
            client.cookies.clear()
    assert codes == [303] * 10 + [429] * 2
    assert passwords.hashed == 10


async def test_guessing_the_current_password_in_an_open_session_ends(
    app: Any, owner: str, passwords: CountedPasswords, clock: Any
) -> None:
    async with browse(app) as client:
        await sign_in(client, OWNER)
        before = passwords.judged
        form = {"current_password": WRONG, "new_password": "another long password"}
        answers = [await client.post("/security/password", data=form) for _ in range(15)]
        assert [answer.status_code for answer in answers] == [422] * 15
        assert "1 try left" in answers[3].text
        assert "Too many tries. The next is possible in 60 minutes." in answers[5].text
        assert passwords.judged - before == 5
        clock.advance(minutes=5, seconds=1)
        assert "Too many tries" in (await client.post("/security/confirm", data={"confirm_password": PASSWORD})).text
        assert passwords.judged - before == 5, "fresh proofs and changes of password share what they have"
