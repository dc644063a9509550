"""The operator's page: who may open it, and that nobody can lock everybody out."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.accounts.people import RoleRefused
from app.accounts.roles import Role
from tests.accounts.attackers import ORIGIN
from tests.accounts.doors import Unit, add_person, count_rows, find_copied, list_actions, sign_in
from tests.people import SignedIn

MakeClient = Callable[[], httpx.AsyncClient]
OWN_PAGES = [
    ("GET", "/security"),
    ("GET", "/activity"),
    ("GET", "/activity.csv"),
    ("POST", "/security/password"),
    ("POST", "/security/tokens"),
]
FACTOR_PAGES = [
    ("GET", "/security/confirm"),
    ("POST", "/security/confirm"),
    ("POST", "/security/confirm/options"),
    ("POST", "/security/stay"),
    ("GET", "/security/two-step"),
    ("POST", "/security/two-step/later"),
    ("POST", "/security/two-step/app"),
    ("POST", "/security/two-step/app/confirm"),
    ("POST", "/security/two-step/app/remove"),
    ("POST", "/security/two-step/codes"),
    ("GET", "/security/passkeys/new"),
    ("POST", "/security/passkeys/options"),
    ("POST", "/security/passkeys"),
    ("POST", "/security/passkeys/pky_x/rename"),
    ("POST", "/security/passkeys/pky_x/remove"),
]
OWN_ROWS = [
    *FACTOR_PAGES,
    ("POST", "/security/tokens/tok_x/revoke"),
    ("POST", "/security/sessions/ses_x/end"),
    ("POST", "/security/sessions/end-others"),
]
OPERATOR_PAGES = [
    ("GET", "/people"),
    ("POST", "/people"),
    ("GET", "/people/usr_x"),
    ("POST", "/people/usr_x/sign-out"),
    ("POST", "/people/usr_x/reset-link"),
    ("POST", "/people/usr_x/factor-reset"),
    ("POST", "/people/invitations"),
    ("POST", "/people/invitations/inv_x/cancel"),
    ("POST", "/people/usr_x/roles"),
    ("POST", "/people/usr_x/disable"),
    ("POST", "/people/usr_x/enable"),
]


@pytest.mark.parametrize("roles", [(), (Role.TRADER,), (Role.SUPPORT,), (Role.TRADER, Role.SUPPORT), (Role.OPERATOR,)])
async def test_every_route_asks_for_its_role(app: Any, client: httpx.AsyncClient, roles: tuple[Role, ...]) -> None:
    if roles:
        user = await add_person(app, "person@example.org", *roles)
        await sign_in(client, user.email)
    for method, path in OWN_PAGES + OWN_ROWS + OPERATOR_PAGES:
        answer = await client.request(method, path)
        if not roles:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
        elif (method, path) in OPERATOR_PAGES and Role.OPERATOR not in roles:
            assert answer.status_code == 403, path
        else:
            assert answer.status_code in (200, 303, 404, 422), path
            assert not answer.headers.get("location", "").startswith("/sign-in"), path


async def test_the_matrix_knows_every_page_of_people(app: Any) -> None:
    listed = {path for _, path in OWN_PAGES + OWN_ROWS + OPERATOR_PAGES}
    codes = {"/sign-in/passkey", "/sign-in/passkey/options", "/sign-in/code", "/sign-in/code/options"}
    open_to_all = {"/sign-in", "/sign-out", "/sign-up", "/setup", "/invitation"} | codes
    pages = [path for path in list_paths(app) if path.startswith(("/security", "/activity", "/people", *open_to_all))]
    examples = {
        "{token_id}": "tok_x",
        "{session_id}": "ses_x",
        "{invitation_id}": "inv_x",
        "{user_id}": "usr_x",
        "{passkey_id}": "pky_x",
    }
    for path in pages:
        filled = path
        for name, example in examples.items():
            filled = filled.replace(name, example)
        assert filled in listed | open_to_all


def list_paths(routed: Any) -> list[str]:
    found = []
    for route in routed.routes:
        if hasattr(route, "path"):
            found.append(route.path)
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None:
            found += list_paths(inner)
    return found


async def test_an_operator_changes_other_people(app: Any, signed_in: SignedIn, make_client: MakeClient) -> None:
    user = await add_person(app, "one@example.org", Role.TRADER)
    async with make_client() as browser:
        await sign_in(browser, user.email)
        changed = await signed_in.client.post(f"/people/{user.id}/roles", data={"role": ["support", "trader"]})
        assert changed.status_code == 303
        assert (await signed_in.client.get(changed.headers["location"])).status_code == 200
        assert (await signed_in.client.post(f"/people/{user.id}/disable")).status_code == 303
        assert (await browser.get("/security")).status_code == 303
        assert (await sign_in(browser, user.email)).status_code == 401
        page = (await signed_in.client.get("/people")).text
        assert "Disabled" in page
        assert (await signed_in.client.post(f"/people/{user.id}/enable")).status_code == 303
        assert (await sign_in(browser, user.email)).status_code == 303
        own = (await browser.get("/activity")).text
        assert "Account disabled" in own
        assert "Operator" in own
    assert await count_rows(app, "audit_events", "action = 'user.roles_changed' AND actor_id IS NOT NULL") == 1


@pytest.mark.parametrize("ending", ["disable", "roles"])
async def test_an_invitation_kept_back_is_no_way_in_again(
    app: Any, signed_in: SignedIn, make_client: MakeClient, ending: str
) -> None:
    """An operator who is shut out, or is none any more, must not come back by an invitation they made for themselves."""
    rogue = await add_person(app, "rogue@example.org", Role.OPERATOR)
    async with make_client() as theirs, make_client() as guest:
        await sign_in(theirs, rogue.email)
        links = [
            find_copied((await client.post("/people/invitations", data={"role": "operator"})).text).removeprefix(ORIGIN)
            for client in (theirs, signed_in.client)
        ]
        assert [(await guest.get(link)).status_code for link in links] == [200, 200]
        done = await signed_in.client.post(f"/people/{rogue.id}/{ending}", data={"role": "trader"})
        assert done.status_code == 303
        assert [(await guest.get(link)).status_code for link in links] == [404, 200], "others' invitations stay"


async def test_nobody_takes_their_own_access_away(app: Any, signed_in: SignedIn) -> None:
    await add_person(app, "second@example.org", Role.OPERATOR)
    assert (await signed_in.client.post(f"/people/{signed_in.user_id}/disable")).status_code == 409
    refused = await signed_in.client.post(f"/people/{signed_in.user_id}/roles", data={"role": "trader"})
    assert refused.status_code == 409
    assert "You cannot take your own access away" in refused.text
    more = await signed_in.client.post(f"/people/{signed_in.user_id}/roles", data={"role": ["trader", "operator", "support"]})
    assert more.status_code == 303
    assert "user.disabled" not in await list_actions(app)


async def test_the_last_operator_stays(app: Any, signed_in: SignedIn) -> None:
    first = signed_in.user_id
    second = await add_person(app, "second@example.org", Role.OPERATOR)
    async with Unit(app) as accounts:
        await accounts.disable(second.id)
    for change in ("disable", "roles"):
        async with Unit(app) as accounts:
            with pytest.raises(RoleRefused, match="conflict"):
                await (accounts.disable(first) if change == "disable" else accounts.set_roles(first, roles=[Role.TRADER]))
    assert (await signed_in.client.get("/people")).status_code == 200
    async with Unit(app) as accounts:
        await accounts.enable(second.id)
        await accounts.disable(signed_in.user_id)
    assert (await signed_in.client.get("/people")).status_code == 303


async def test_a_refused_invitation_keeps_what_was_entered(app: Any, signed_in: SignedIn) -> None:
    await add_person(app, "one@example.org", Role.TRADER)
    for form, words in (
        ({"email": "nobody", "role": "trader"}, "Enter an e-mail address"),
        ({"email": "one@example.org", "role": "trader"}, "account with this e-mail already"),
        ({"email": "new@example.org"}, "Choose at least one role"),
        ({"email": "new@example.org", "role": "king"}, "Choose at least one role"),
    ):
        answer = await signed_in.client.post("/people/invitations", data=form)
        assert answer.status_code == 422
        assert words in answer.text
        assert f'value="{form["email"]}"' in answer.text
    assert await count_rows(app, "invitations", "kind = 'invitation'") == 0


@pytest.mark.parametrize("odd", ["%00", "usr_nobody", "x" * 500, "%E2%80%AE"])
async def test_unknown_people_are_not_found(signed_in: SignedIn, odd: str) -> None:
    for path in (f"/people/{odd}/disable", f"/people/{odd}/enable", f"/people/invitations/{odd}/cancel"):
        assert (await signed_in.client.post(path)).status_code == 404
    assert (await signed_in.client.post(f"/people/{odd}/roles", data={"role": "trader"})).status_code == 404
