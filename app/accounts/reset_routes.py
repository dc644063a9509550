"""Pages of the ways back in: asking for a letter, choosing a new password, parting from lost second factors."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.entry import LONGEST_EMAIL, EntryRefused
from app.accounts.letters import write_factors_removed, write_password_reset
from app.accounts.passwords import SHORTEST
from app.accounts.post import demand_mail, post, post_reset_letter
from app.accounts.requests import AccountsDep, VisitDep, redirect, remember_device
from app.accounts.resets import FACTOR_LINK, PASSWORD_LINK
from app.masking import Secret
from app.web.forms import read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)


@router.get("/forgot")
async def show_forgot(request: Request) -> HTMLResponse:
    demand_mail(request)
    return _render(request, "forgot", is_sent=False)


@router.post("/forgot")
async def ask_for_letter(request: Request, accounts: AccountsDep, visit: VisitDep) -> HTMLResponse:
    """Answer at once and the same to everybody; whether there is an account is looked up after the answer."""
    demand_mail(request)
    form = await read_form(request)
    await accounts.admit_reset_request(visit)
    post_reset_letter(request, form.get("email", "")[:LONGEST_EMAIL], ip=visit.ip)
    return _render(request, "forgot", is_sent=True)


@router.get("/reset")
async def show_reset(request: Request, accounts: AccountsDep) -> HTMLResponse:
    token = request.query_params.get("token", "")
    link = await accounts.find_reset(Secret(token), kind=PASSWORD_LINK)
    return _render(request, "reset", token=token, email=link.email)


@router.post("/reset")
async def reset_password(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    token = form.get("token", "")
    link = await accounts.find_reset(Secret(token), kind=PASSWORD_LINK)
    try:
        done = await accounts.reset_password(Secret(token), new=Secret(form.get("new_password", "")), visit=visit)
    except EntryRefused as refused:
        return _render(request, "reset", token=token, email=link.email, refused=refused)
    post(request, write_password_reset(done.email, public_url=request.app.state.settings.public_url))
    return remember_device(request, redirect("/sign-in?done=reset"), done.device_token)


@router.get("/factor-reset")
async def show_factor_reset(request: Request, accounts: AccountsDep) -> HTMLResponse:
    token = request.query_params.get("token", "")
    link = await accounts.find_reset(Secret(token), kind=FACTOR_LINK)
    return _render(request, "factor_reset", token=token, email=link.email)


@router.post("/factor-reset")
async def reset_factors(request: Request, accounts: AccountsDep, visit: VisitDep) -> Response:
    form = await read_form(request)
    token = form.get("token", "")
    link = await accounts.find_reset(Secret(token), kind=FACTOR_LINK)
    try:
        email = await accounts.reset_factors(Secret(token), password=Secret(form.get("password", "")), visit=visit)
    except EntryRefused as refused:
        return _render(request, "factor_reset", token=token, email=link.email, refused=refused)
    post(request, write_factors_removed(email, public_url=request.app.state.settings.public_url))
    return redirect("/sign-in?done=factors")


def _render(request: Request, page: str, *, refused: EntryRefused | None = None, **context: Any) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        f"accounts/{page}.html",
        status_code=422 if refused else 200,
        errors={refused.field: refused.message} if refused else {},
        shortest=SHORTEST,
        **context,
    )
