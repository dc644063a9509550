"""The /security page: own password, sessions and API tokens."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.api_tokens import USUAL_DAYS, IssuedToken
from app.accounts.current_user import FreshProof, PageUser, PageUserFresh, Principal
from app.accounts.entry import EntryRefused
from app.accounts.passwords import SHORTEST
from app.accounts.requests import AccountsDep, is_sent_again, locate_passkeys, redirect, renew
from app.accounts.roles import SCOPE_WORDS, list_scopes_for, parse_scopes
from app.accounts.service import Accounts
from app.accounts.tokens import show_once
from app.masking import Secret
from app.web.forms import Form, read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "One year"), ("never", "Until it is revoked"))
Naming = Annotated[Principal, Depends(FreshProof(keeps=("name", "scope", "expires_in_days")))]
_NO_FORM = Form([])


@router.get("/security")
async def show_security(request: Request, principal: PageUser, accounts: AccountsDep) -> HTMLResponse:
    return await _render(request, principal, accounts=accounts)


@router.post("/security/password")
async def change_password(request: Request, principal: PageUserFresh, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    if is_sent_again(form):
        return redirect("/security?done=confirmed#password-title")
    current, new = Secret(form.get("current_password", "")), Secret(form.get("new_password", ""))
    try:
        token = await accounts.change_password(principal, current=current, new=new)
    except EntryRefused as refused:
        return await _render(request, principal, accounts=accounts, refused=refused)
    return renew(request, redirect("/security?done=password"), token)


@router.post("/security/sessions/end-others")
async def end_other_sessions(principal: PageUser, accounts: AccountsDep) -> Response:
    await accounts.end_other_sessions(principal)
    return redirect("/security?done=sessions")


@router.post("/security/sessions/{session_id}/end")
async def end_session(session_id: str, principal: PageUser, accounts: AccountsDep) -> Response:
    await accounts.end_session(principal, session_id)
    return redirect("/security?done=session")


@router.post("/security/tokens")
async def create_token(request: Request, principal: Naming, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    try:
        issued = await accounts.create_token(
            principal.user_id,
            name=form.get("name", ""),
            scopes=parse_scopes(form.list_values("scope")),
            expires_in_days=_read_days(form.get("expires_in_days", str(USUAL_DAYS))),
            actor=principal,
        )
    except EntryRefused as refused:
        return await _render(request, principal, accounts=accounts, refused=refused, form=form)
    return await _render(request, principal, accounts=accounts, issued=issued)


@router.post("/security/tokens/{token_id}/revoke")
async def revoke_token(token_id: str, principal: PageUserFresh, accounts: AccountsDep) -> Response:
    await accounts.revoke_token(principal.user_id, token_id=token_id, actor=principal)
    return redirect("/security?done=token")


def _read_days(text: str) -> int | None:
    """Return the lifetime chosen in the form. Raises EntryRefused for anything the form does not offer."""
    if text not in dict(LIFETIMES):
        raise EntryRefused("expires_in_days", "Choose one of the offered lifetimes.")
    return None if text == "never" else int(text)


async def _render(
    request: Request,
    principal: Principal,
    *,
    accounts: Accounts,
    refused: EntryRefused | None = None,
    issued: IssuedToken | None = None,
    form: Form = _NO_FORM,
) -> HTMLResponse:
    context: dict[str, Any] = {
        "factors": await accounts.list_factors(principal.user_id),
        "passkeys": locate_passkeys(request),
        "sessions": await accounts.list_sessions(principal),
        "tokens": await accounts.list_shown_tokens(principal.user_id),
        "issued": issued,
        "issued_text": show_once(issued.token) if issued else "",
        "errors": {refused.field: refused.message} if refused else {},
        "entered_name": form.get("name", ""),
        "entered_scopes": form.list_values("scope"),
        "entered_days": form.get("expires_in_days", str(USUAL_DAYS)),
        "scopes": [(scope.value, *SCOPE_WORDS[scope]) for scope in list_scopes_for(principal.roles)],
        "scope_words": {scope: words[0] for scope, words in SCOPE_WORDS.items()},
        "lifetimes": LIFETIMES,
        "shortest": SHORTEST,
        "done": request.query_params.get("done", ""),
    }
    pages: Pages = request.app.state.pages
    return pages.render(request, "accounts/security.html", status_code=422 if refused else 200, **context)
