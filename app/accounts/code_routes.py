"""Pages of signing in beyond the password: the second factor, and a passkey in the place of both."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.accounts.entrance_routes import render_sign_in
from app.accounts.entrances import PendingView
from app.accounts.factor_tries import FactorRefused
from app.accounts.requests import AccountsDep, PendingToken, VisitDep, clean_next, let_in, locate_passkeys
from app.web.forms import read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)


@router.post("/sign-in/passkey/options")
async def ask_for_passkey(accounts: AccountsDep, visit: VisitDep) -> JSONResponse:
    return JSONResponse(await accounts.ask_to_sign_in(visit))


@router.post("/sign-in/passkey")
async def sign_in_by_passkey(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    next_path = clean_next(form.get("next", ""))
    try:
        opened = await accounts.sign_in_by_passkey(visit, answer=form.get("passkey", ""))
    except FactorRefused as refused:
        return render_sign_in(request, next_path=next_path, passkey_error=refused.message, status_code=401)
    return let_in(request, opened, next_path=next_path)


@router.get("/sign-in/code")
async def show_code(request: Request, pending: PendingToken, accounts: AccountsDep) -> HTMLResponse:
    found = await accounts.find_pending(pending)
    return _render(request, found, next_path=request.query_params.get("next", ""), kind=request.query_params.get("with", ""))


@router.post("/sign-in/code")
async def finish_sign_in(request: Request, pending: PendingToken, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    code, passkey = form.get("code", ""), form.get("passkey", "")
    try:
        opened = await accounts.finish_sign_in(pending, visit, code=code, passkey=passkey)
    except FactorRefused as refused:
        found = await accounts.find_pending(pending)
        return _render(request, found, next_path=form.get("next", ""), kind=form.get("with", ""), refused=refused)
    return let_in(request, opened, next_path=form.get("next", ""))


@router.post("/sign-in/code/options")
async def ask_for_second_factor(pending: PendingToken, accounts: AccountsDep, visit: VisitDep) -> JSONResponse:
    return JSONResponse(await accounts.ask_for_second_factor(pending, visit))


def _render(
    request: Request, pending: PendingView, *, next_path: str, kind: str, refused: FactorRefused | None = None
) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "accounts/code.html",
        status_code=401 if refused else 200,
        pending=pending,
        by_recovery=kind == "recovery" or not pending.has_totp,
        next_path=clean_next(next_path),
        errors={refused.field: refused.message} if refused else {},
        passkeys=locate_passkeys(request),
    )
