"""No operator gets both kinds of one person's links, however long they wait: with both they would be that person."""

from typing import Any

import httpx
import pytest

from app.accounts.roles import Role
from tests.accounts.attackers import browse
from tests.accounts.doors import PASSWORD, add_person, sign_in
from tests.accounts.factors import set_up_app
from tests.accounts.links import NEW, OWNER, choose, make_link, sign_up_again_after
from tests.people import SignedIn


@pytest.mark.parametrize("days", [1, 8, 400])
async def test_no_time_makes_the_second_link_of_a_password_an_operator_chose(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any, days: int
) -> None:
    async with browse(app, "203.0.113.7") as home:
        await sign_in(home, OWNER)
        phone, _ = await set_up_app(home, clock)
        assert (await choose(guest, await make_link(signed_in, owner))).status_code == 303
        await sign_up_again_after(app, signed_in, clock, days=days)
        other = (await add_person(app, "other@example.org", Role.TRADER)).id
        await make_link(signed_in, other)  # sweeps what is old
        assert (await signed_in.client.post(f"/people/{owner}/factor-reset")).status_code == 409
        await sign_in(home, OWNER, NEW)
        assert (await home.post("/sign-in/code", data={"code": phone.show(clock())})).status_code == 303
        assert (await signed_in.client.post(f"/people/{owner}/factor-reset")).status_code == 200


async def test_nor_that_of_factors_removed_by_an_operators_link(
    app: Any, signed_in: SignedIn, owner: str, guest: httpx.AsyncClient, clock: Any
) -> None:
    await sign_in(guest, OWNER)
    await set_up_app(guest, clock)
    guest.cookies.clear()
    token = (await make_link(signed_in, owner, "factor-reset")).split("=")[1]
    assert (await guest.post("/factor-reset", data={"token": token, "password": PASSWORD})).status_code == 303
    await sign_up_again_after(app, signed_in, clock, days=30)
    assert (await signed_in.client.post(f"/people/{owner}/reset-link")).status_code == 409
    await sign_in(guest, OWNER)
    assert (await signed_in.client.post(f"/people/{owner}/reset-link")).status_code == 200


async def test_a_link_that_nobody_used_is_out_of_the_way_after_an_hour(
    app: Any, signed_in: SignedIn, owner: str, clock: Any
) -> None:
    await make_link(signed_in, owner, "factor-reset")
    clock.advance(minutes=59)
    assert (await sign_in(signed_in.client, signed_in.email)).status_code == 303
    assert (await signed_in.client.post(f"/people/{owner}/reset-link")).status_code == 409
    clock.advance(minutes=1)
    assert (await signed_in.client.post(f"/people/{owner}/reset-link")).status_code == 200
