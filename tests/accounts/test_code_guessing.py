"""Who holds a stolen password and guesses codes learns little in a day, and uses up nothing that the owner has."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.accounts.factor_tries import KNOWN, OPEN, STRANGE
from app.accounts.resets import BY_MAIL, PASSWORD_LINK
from app.accounts.roles import Role
from tests.accounts.attackers import browse, list_addresses
from tests.accounts.doors import PASSWORD, Unit, add_person, count_rows, list_actions, sign_in
from tests.accounts.factors import Phone, confirm, set_up_app

OWNER = "owner@example.org"
NEW = "quiet orange lantern harbour"
HOME = "203.0.113.7"


@pytest.fixture
async def desk(app: Any, clock: Any) -> tuple[Phone, list[str]]:
    """The owner's authenticator app and recovery codes, set up in a browser at home that signs out then."""
    await add_person(app, OWNER, Role.TRADER)
    async with browse(app, HOME) as home:
        await sign_in(home, OWNER)
        made = await set_up_app(home, clock)
        await home.post("/sign-out")
    return made


@pytest.fixture
def phone(desk: tuple[Phone, list[str]]) -> Phone:
    return desk[0]


@pytest.fixture
def codes(desk: tuple[Phone, list[str]]) -> list[str]:
    return desk[1]


async def guess_codes(app: Any, clock: Any, *, hours: float, ips: list[str]) -> int:
    """Try codes from these addresses every five minutes; returns how many were judged."""
    judged, end = 0, clock() + timedelta(hours=hours)
    while clock() < end:
        for ip in ips:
            async with browse(app, ip) as thief:
                await sign_in(thief, OWNER)
                judged += "is not right" in (await enter(thief, "000000")).text
        clock.advance(minutes=5)
    return judged


async def enter(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await client.post("/sign-in/code", data={"code": code})


async def test_a_day_of_guessing_codes_leaves_the_owners_ways_open(app: Any, phone: Phone, codes: list[str], clock: Any) -> None:
    judged = await guess_codes(app, clock, hours=24, ips=list_addresses(1))
    assert judged == STRANGE.most + 47, "one every half hour after the first five"
    await guess_codes(app, clock, hours=0.3, ips=list_addresses(7))
    async with browse(app, HOME) as home:
        assert (await sign_in(home, OWNER)).status_code == 303
        assert (await enter(home, phone.show(clock()))).status_code == 303, "from a known network"
        clock.advance(minutes=6)
        assert (await confirm(home, confirm_code=phone.show(clock()))).status_code == 303, "and to confirm in an open session"
    async with browse(app, "192.0.2.9") as elsewhere:
        await sign_in(elsewhere, OWNER)
        await enter(elsewhere, "000000")
        clock.advance(seconds=30)
        assert "Too many tries. The next is possible in" in (await enter(elsewhere, phone.show(clock()))).text
        assert (await enter(elsewhere, codes[0])).status_code == 303, "a recovery code from anywhere"


async def test_a_new_password_ends_the_guessing_and_its_count(app: Any, phone: Phone, clock: Any) -> None:
    await guess_codes(app, clock, hours=0.5, ips=list_addresses(3))
    async with Unit(app) as accounts:
        owner = await accounts.find_user(OWNER)
        made = await accounts.make_link(owner.id, kind=PASSWORD_LINK, way=BY_MAIL)
    async with browse(app, "192.0.2.9") as elsewhere:
        form = {"token": made.link.split("token=")[1], "new_password": NEW}
        assert (await elsewhere.post("/reset", data=form)).status_code == 303
        assert await count_rows(app, "factor_tries") == 0
        assert (await sign_in(elsewhere, OWNER, NEW)).status_code == 303
        assert (await enter(elsewhere, phone.show(clock()))).status_code == 303
        await guess_codes(app, clock, hours=0.1, ips=list_addresses(3))
        assert await count_rows(app, "factor_tries") == 0, "the stolen password opens nothing any more"


async def test_changing_the_password_clears_the_count_too(app: Any, phone: Phone, clock: Any) -> None:
    async with browse(app, HOME) as home:
        await sign_in(home, OWNER)
        await enter(home, phone.show(clock()))
        await guess_codes(app, clock, hours=0.05, ips=list_addresses(7))
        assert await count_rows(app, "factor_tries") == STRANGE.most
        changed = await home.post("/security/password", data={"current_password": PASSWORD, "new_password": NEW})
        assert changed.status_code == 303
    assert await count_rows(app, "factor_tries") == 0


async def test_the_owners_right_code_gives_strangers_no_new_tries(app: Any, phone: Phone, clock: Any) -> None:
    await guess_codes(app, clock, hours=0.05, ips=list_addresses(7))
    async with browse(app, HOME) as home:
        await sign_in(home, OWNER)
        await enter(home, "000000")
        assert await count_rows(app, "factor_tries") == STRANGE.most + 1
        assert (await enter(home, phone.show(clock()))).status_code == 303
    assert await count_rows(app, "factor_tries", f"pool = '{STRANGE.name}'") == STRANGE.most
    assert await count_rows(app, "factor_tries", f"pool = '{KNOWN.name}'") == 0
    assert await guess_codes(app, clock, hours=0.05, ips=list_addresses(3)) == 0


async def test_codes_tried_in_a_taken_session_use_up_no_way_in(app: Any, phone: Phone, clock: Any) -> None:
    async with browse(app, HOME) as taken, browse(app, HOME) as home:
        await sign_in(taken, OWNER)
        await enter(taken, phone.show(clock()))
        clock.advance(minutes=6)
        for _ in range(6):
            refused = await confirm(taken, confirm_code="000000")
        assert "Too many tries. The next is possible in 30 minutes." in refused.text
        assert await count_rows(app, "factor_tries", f"pool = '{OPEN.name}'") == OPEN.most
        await sign_in(home, OWNER)
        assert (await enter(home, phone.show(clock()))).status_code == 303


async def test_recovery_codes_are_limited_by_address_and_written_down_a_bounded_number_of_times(
    app: Any, codes: list[str], clock: Any
) -> None:
    async with browse(app, "198.51.100.1") as thief:
        await sign_in(thief, OWNER)
        answers = [(await enter(thief, "0000-0000-0000-0000")).text for _ in range(25)]
        assert sum("not one of your unused" in text for text in answers) == 20
        assert "Too many tries. The next is possible in 1 minute." in answers[-1]
        clock.advance(minutes=1)
        assert "not one of your unused" in (await enter(thief, "0000-0000-0000-0000")).text
    for ip in list_addresses(6)[1:]:
        async with browse(app, ip) as thief:
            await sign_in(thief, OWNER)
            for _ in range(12):
                await enter(thief, "0000-0000-0000-0000")
    assert (await list_actions(app)).count("user.proof_failed") == 60
    async with browse(app, "192.0.2.9") as owner:
        await sign_in(owner, OWNER)
        assert (await enter(owner, codes[0])).status_code == 303
