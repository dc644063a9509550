"""Pages that set second factors up and change them. Each change takes a fresh proof and ends all other sessions."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.accounts.current_user import PageSession, PageSessionFresh, PageUserFresh, Principal
from app.accounts.entry import EntryRefused
from app.accounts.factors import FactorChange
from app.accounts.requests import AccountsDep, clean_next, locate_passkeys, redirect, renew
from app.accounts.roles import find_landing
from app.accounts.service import Accounts
from app.accounts.step_up_routes import SET_UP
from app.web.forms import read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)


@router.get("/security/two-step")
async def show_two_step(request: Request, principal: PageSessionFresh, accounts: AccountsDep) -> HTMLResponse:
    return await _render_two_step(request, principal, accounts)


@router.post("/security/two-step/app")
async def start_app(principal: PageSessionFresh, accounts: AccountsDep) -> Response:
    await accounts.start_totp(principal)
    return redirect(SET_UP)


@router.post("/security/two-step/app/confirm")
async def confirm_app(request: Request, principal: PageSessionFresh, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    try:
        change = await accounts.confirm_totp(principal, form.get("code", ""))
    except EntryRefused as refused:
        return await _render_two_step(request, principal, accounts, refused=refused)
    return _conclude(request, principal, change, done="app")


@router.post("/security/two-step/app/remove")
async def remove_app(request: Request, principal: PageUserFresh, accounts: AccountsDep) -> Response:
    return _conclude(request, principal, await accounts.remove_totp(principal), done="app-removed")


@router.post("/security/two-step/codes")
async def renew_codes(request: Request, principal: PageUserFresh, accounts: AccountsDep) -> Response:
    return _conclude(request, principal, await accounts.renew_recovery_codes(principal), done="codes")


@router.post("/security/two-step/later")
async def put_off(request: Request, principal: PageSession, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    await accounts.close_factor_offer(principal)
    return redirect(clean_next(form.get("next", "")) or find_landing(principal.roles))


@router.get("/security/passkeys/new")
async def show_new_passkey(request: Request, principal: PageSessionFresh) -> HTMLResponse:
    return _render_new_passkey(request)


@router.post("/security/passkeys/options")
async def ask_for_new_passkey(principal: PageSessionFresh, accounts: AccountsDep) -> JSONResponse:
    return JSONResponse(await accounts.ask_for_new_passkey(principal))


@router.post("/security/passkeys")
async def add_passkey(request: Request, principal: PageSessionFresh, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    name = form.get("name", "")
    try:
        change = await accounts.add_passkey(principal, name=name, answer=form.get("passkey", ""))
    except EntryRefused as refused:
        return _render_new_passkey(request, name=name, refused=refused)
    return _conclude(request, principal, change, done="passkey")


@router.post("/security/passkeys/{passkey_id}/rename")
async def rename_passkey(request: Request, passkey_id: str, principal: PageUserFresh, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    await accounts.rename_passkey(principal, passkey_id, name=form.get("name", ""))
    return redirect("/security?done=passkey-renamed")


@router.post("/security/passkeys/{passkey_id}/remove")
async def remove_passkey(request: Request, passkey_id: str, principal: PageUserFresh, accounts: AccountsDep) -> Response:
    return _conclude(request, principal, await accounts.remove_passkey(principal, passkey_id), done="passkey-removed")


def _conclude(request: Request, principal: Principal, change: FactorChange, *, done: str) -> Response:
    """Show new recovery codes once, or go back to the Security page; either way the browser gets the session's new token."""
    pages: Pages = request.app.state.pages
    response: Response = redirect(f"/security?done={done}")
    if change.recovery_codes:
        onward = find_landing(principal.roles) if principal.must_set_up else f"/security?done={done}"
        response = pages.render(request, "accounts/recovery_codes.html", codes=change.recovery_codes, done=done, onward=onward)
    return renew(request, response, change.token)


async def _render_two_step(
    request: Request, principal: Principal, accounts: Accounts, *, refused: EntryRefused | None = None
) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "accounts/two_step.html",
        status_code=422 if refused else 200,
        set_up=await accounts.get_totp_set_up(principal),
        error=refused.message if refused else "",
        passkeys=locate_passkeys(request),
    )


def _render_new_passkey(request: Request, *, name: str = "", refused: EntryRefused | None = None) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "accounts/new_passkey.html",
        status_code=422 if refused else 200,
        name=name,
        errors={refused.field: refused.message} if refused else {},
        passkeys=locate_passkeys(request),
    )
