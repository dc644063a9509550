"""The operator's page of one person: roles, sessions, disabling, and one-time links for who cannot get in."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.current_user import FreshProof, PageOperator, PageOperatorFresh, Principal
from app.accounts.letters import write_link_made
from app.accounts.people import PersonView
from app.accounts.post import post
from app.accounts.requests import AccountsDep, open_accounts, redirect
from app.accounts.resets import BY_OPERATOR, FACTOR_LINK, PASSWORD_LINK, IssuedLink
from app.accounts.roles import ROLE_WORDS, Role, parse_roles
from app.accounts.service import Accounts
from app.db import SessionDep
from app.web.forms import read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
Choosing = Annotated[Principal, Depends(FreshProof(Role.OPERATOR, keeps=("role",)))]
_LINK_DOES = {PASSWORD_LINK: "choose a new password", FACTOR_LINK: "remove lost second factors"}


@router.get("/people/{user_id}")
async def show_person(request: Request, user_id: str, principal: PageOperator, session: SessionDep) -> HTMLResponse:
    await session.rollback()  # gives the connection back, so that no request ever holds two
    # a GET's session only reads, and that an operator looked must be recorded: hence a writing unit of its own
    async with request.app.state.database.write() as unit:
        accounts = await open_accounts(request, unit)
        person = await accounts.look_at_person(principal, user_id)
    return _render(request, principal, person=person)


@router.post("/people/{user_id}/roles")
async def set_roles(request: Request, user_id: str, principal: Choosing, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    await accounts.set_roles(user_id, roles=parse_roles(form.list_values("role")), actor=principal)
    return redirect(f"/people/{user_id}?done=roles")


@router.post("/people/{user_id}/disable")
async def disable(user_id: str, principal: PageOperatorFresh, accounts: AccountsDep) -> Response:
    await accounts.disable(user_id, actor=principal)
    return redirect(f"/people/{user_id}?done=disabled")


@router.post("/people/{user_id}/enable")
async def enable(user_id: str, principal: PageOperatorFresh, accounts: AccountsDep) -> Response:
    await accounts.enable(user_id, actor=principal)
    return redirect(f"/people/{user_id}?done=enabled")


@router.post("/people/{user_id}/sign-out")
async def sign_out(user_id: str, principal: PageOperatorFresh, accounts: AccountsDep) -> Response:
    await accounts.sign_out_everywhere(user_id, actor=principal)
    return redirect(f"/people/{user_id}?done=signed-out")


@router.post("/people/{user_id}/reset-link")
async def make_reset_link(request: Request, user_id: str, principal: PageOperatorFresh, accounts: AccountsDep) -> HTMLResponse:
    issued = await accounts.make_link(user_id, kind=PASSWORD_LINK, way=BY_OPERATOR, actor=principal)
    return await _show_link(request, principal, issued=issued, user_id=user_id, accounts=accounts)


@router.post("/people/{user_id}/factor-reset")
async def make_factor_link(request: Request, user_id: str, principal: PageOperatorFresh, accounts: AccountsDep) -> HTMLResponse:
    issued = await accounts.make_link(user_id, kind=FACTOR_LINK, way=BY_OPERATOR, actor=principal)
    return await _show_link(request, principal, issued=issued, user_id=user_id, accounts=accounts)


async def _show_link(
    request: Request, principal: Principal, *, issued: IssuedLink, user_id: str, accounts: Accounts
) -> HTMLResponse:
    """Show the link once, and tell the person that it was made."""
    what = _LINK_DOES[issued.kind]
    post(request, write_link_made(issued.email, what=what, public_url=request.app.state.settings.public_url))
    person = await accounts.show_person(user_id)  # the link was recorded, and so who made it
    return _render(request, principal, person=person, issued=issued, what=what)


def _render(
    request: Request,
    principal: Principal,
    *,
    person: PersonView,
    issued: IssuedLink | None = None,
    what: str = "",
) -> HTMLResponse:
    context: dict[str, Any] = {
        "person": person,
        "is_me": person.user.id == principal.user_id,
        "issued": issued,
        "what": what,
        "roles": [(role.value, *words) for role, words in ROLE_WORDS.items()],
        "role_words": {role: words[0] for role, words in ROLE_WORDS.items()},
        "done": request.query_params.get("done", ""),
    }
    pages: Pages = request.app.state.pages
    return pages.render(request, "accounts/person.html", **context)
