"""The page that asks for a fresh proof, the way back to what the person was doing, and staying signed in.

A form that came with too old a proof is not lost: its fields that may be shown again travel through this page, and the
browser sends them once more (307) when the proof is right. Secrets never travel here; their pages ask for the proof first.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match

from app.accounts.current_user import FreshProof, PageSession
from app.accounts.factor_tries import FactorRefused
from app.accounts.proof_problems import FactorNeeded, ProofNeeded
from app.accounts.requests import AccountsDep, clean_next, locate_passkeys, redirect, renew
from app.accounts.step_up import Proof
from app.masking import Secret
from app.web.errors import Problem, answer_problem, describe_problem, wants_json
from app.web.forms import Form, read_form
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
SET_UP = "/security/two-step"
_STREAM = "text/event-stream"  # what a module that stays on its page asks for


@router.get("/security/confirm")
async def show_confirm(request: Request, principal: PageSession) -> Response:
    next_path = clean_next(request.query_params.get("next", ""))
    if principal.is_proved(request.app.state.clock()):
        return redirect(next_path or "/security")
    return _render(request, next_path=next_path)


@router.post("/security/confirm")
async def confirm(request: Request, principal: PageSession, accounts: AccountsDep) -> Response:
    form = await read_form(request)
    kept = _keep(request, clean_next(form.get("confirm_again", "")), form)  # before the try: what fails here tries nothing
    proof = Proof(Secret(form.get("confirm_password", "")), form.get("confirm_code", ""), form.get("confirm_passkey", ""))
    try:
        token = await accounts.prove(principal, proof)
    except FactorRefused as refused:
        return _refuse(request, form, refused, kept)
    return renew(request, _go_on(request, form), token)


@router.post("/security/confirm/options")
async def ask_to_confirm(principal: PageSession, accounts: AccountsDep) -> JSONResponse:
    return JSONResponse(await accounts.ask_to_confirm(principal))


@router.post("/security/stay")
async def stay(request: Request, principal: PageSession) -> JSONResponse:
    """Tell for how long the session goes on. Asking is a use of it, so an idle one goes on for another hour."""
    left = principal.ends_at - request.app.state.clock() if principal.ends_at else timedelta()
    return JSONResponse({"seconds": int(left.total_seconds())})


def _go_on(request: Request, form: Form) -> Response:
    """Return to the page that was asked for, or let the browser send the kept form once more."""
    if wants_json(request):
        return JSONResponse({"confirmed": True})
    if again := clean_next(form.get("confirm_again", "")):
        return RedirectResponse(again, status_code=307)
    return redirect(clean_next(form.get("confirm_next", "")) or "/security")


def _refuse(request: Request, form: Form, refused: FactorRefused, kept: list[tuple[str, str]]) -> Response:
    """Show the page again with everything kept. Not raised: the unit of work that counted the try must be kept."""
    if wants_json(request):
        return answer_problem(request, refused)
    return _render(
        request,
        status_code=422,
        next_path=clean_next(form.get("confirm_next", "")),
        again=clean_next(form.get("confirm_again", "")),
        kept=kept,
        errors={refused.field: refused.message},
    )


def _keep(request: Request, again: str, form: Form) -> list[tuple[str, str]]:
    """Return the fields of the kept form that its own page declares may be shown again: of anything else, none."""
    asked = {**request.scope, "method": "POST", "path": urlsplit(again).path}
    for context in iter_route_contexts(request.app.routes):
        route = getattr(context, "original_route", context)
        if not isinstance(route, APIRoute):
            continue
        match, found = route.matches(asked)
        if match is not Match.FULL:
            continue
        with suppress(Problem):  # an address of nothing, such as an exchange we don't have
            proofs = (needed.call for needed in route.dependant.dependencies if isinstance(needed.call, FreshProof))
            return [field for proof in proofs for field in proof.pick_kept(Request({**asked, **found}), form)]
    return []


def _render(
    request: Request,
    *,
    status_code: int = 200,
    next_path: str = "",
    again: str = "",
    kept: list[tuple[str, str]] | None = None,
    errors: dict[str, str] | None = None,
) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    hidden: list[tuple[str, str]] = [("confirm_next", next_path), ("confirm_again", again), *(kept or [])]
    context: dict[str, Any] = {"hidden": [(name, value) for name, value in hidden if value], "errors": errors or {}}
    return pages.render(
        request, "accounts/confirm.html", status_code=status_code, passkeys=locate_passkeys(request), back=next_path, **context
    )


def install_proof_answers(app: FastAPI) -> None:
    """Answer a missing factor or too old a proof with the page that mends it, and programs with the problem document."""

    async def on_proof_needed(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProofNeeded)
        if wants_json(request) or _STREAM in request.headers.get("accept", ""):
            document = describe_problem(error, request_id=request.state.request_id)
            return JSONResponse(document, status_code=error.status, media_type="application/problem+json")
        asked = clean_next(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
        if request.method in ("GET", "HEAD"):
            return redirect(f"/security/confirm?next={quote(asked, safe='/')}")
        return _render(request, status_code=403, again=asked, kept=error.kept)

    async def on_factor_needed(request: Request, error: Exception) -> Response:
        assert isinstance(error, FactorNeeded)
        return answer_problem(request, error) if wants_json(request) else redirect(SET_UP)

    app.add_exception_handler(ProofNeeded, on_proof_needed)
    app.add_exception_handler(FactorNeeded, on_factor_needed)
