"""The operator's /people page: who there is, found by e-mail, and invitations."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.current_user import FreshProof, PageOperator, PageOperatorFresh, Principal
from app.accounts.entry import EntryRefused
from app.accounts.people import LONGEST_QUERY, IssuedInvitation
from app.accounts.requests import AccountsDep, redirect
from app.accounts.roles import ROLE_WORDS, Role, parse_roles
from app.accounts.service import Accounts
from app.web.forms import Form, read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
Inviting = Annotated[Principal, Depends(FreshProof(Role.OPERATOR, keeps=("role", "email")))]
_NO_FORM = Form([("role", Role.TRADER.value)])


@router.get("/people")
async def show_people(request: Request, principal: PageOperator, accounts: AccountsDep) -> HTMLResponse:
    return await _render(request, principal, accounts=accounts)


@router.post("/people")
async def search_people(request: Request, principal: PageOperator, accounts: AccountsDep) -> HTMLResponse:
    """Find people. A POST, like support's search: e-mail addresses stay out of URLs, and so out of logs and histories."""
    form = await read_form(request)
    return await _render(request, principal, accounts=accounts, query=form.get("q", ""), after=form.get("after", ""))


@router.post("/people/invitations")
async def invite(request: Request, principal: Inviting, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    try:
        issued = await accounts.invite(principal, roles=parse_roles(form.list_values("role")), email=form.get("email", ""))
    except EntryRefused as refused:
        return await _render(request, principal, accounts=accounts, refused=refused, form=form)
    return await _render(request, principal, accounts=accounts, issued=issued)


@router.post("/people/invitations/{invitation_id}/cancel")
async def cancel_invitation(invitation_id: str, principal: PageOperatorFresh, accounts: AccountsDep) -> Response:
    await accounts.cancel_invitation(principal, invitation_id)
    return redirect("/people?done=invitation")


async def _render(
    request: Request,
    principal: Principal,
    *,
    accounts: Accounts,
    query: str = "",
    after: str = "",
    refused: EntryRefused | None = None,
    issued: IssuedInvitation | None = None,
    form: Form = _NO_FORM,
) -> HTMLResponse:
    context: dict[str, Any] = {
        "found": await accounts.list_people(query=query, after=after),
        "is_first": not after,
        "longest": LONGEST_QUERY,
        "invitations": await accounts.list_invitations(),
        "me": principal.user_id,
        "issued": issued,
        "errors": {refused.field: refused.message} if refused else {},
        "entered_email": form.get("email", ""),
        "entered_roles": form.list_values("role"),
        "roles": [(role.value, *words) for role, words in ROLE_WORDS.items()],
        "role_words": {role: words[0] for role, words in ROLE_WORDS.items()},
        "done": request.query_params.get("done", ""),
    }
    pages: Pages = request.app.state.pages
    return pages.render(request, "accounts/people.html", status_code=422 if refused else 200, **context)
