"""The sandbox's switches as pages and as JSON, for developers: only where the sandbox is on and the address is loopback.

The sandbox of this process is meant: its keys, balances and weather live in memory, and a restart puts them back.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from app.accounts.current_user import PageUser
from app.exchanges.types import Permission
from app.sandbox.app import SWITCHES_PATH
from app.sandbox.scenarios import Fault
from app.sandbox.switch_api import SwitchApi
from app.sandbox.switches import EXCHANGE_FAULTS, KEY_FAULTS, Switchboard, SwitchError
from app.settings import Settings
from app.web.errors import NotFound
from app.web.forms import Form, read_form

router = APIRouter(prefix="/sandbox", include_in_schema=False)
_CALLS_SHOWN = 300


def install_switches(app: FastAPI, settings: Settings) -> None:
    """Add the pages and the JSON, where this is somebody's own machine; elsewhere their addresses do not exist."""
    if has_switches(settings):
        app.include_router(router)
        app.mount(SWITCHES_PATH, app=_answer_json)


def has_switches(settings: Settings) -> bool:
    """Tell whether this is somebody's own machine with the sandbox on."""
    return settings.sandbox == "on" and settings.is_loopback_only


async def _answer_json(scope: Scope, receive: Receive, send: Send) -> None:
    await SwitchApi(scope["app"].state.sandbox.state.switchboard)(scope, receive, send)


def _open(request: Request) -> Switchboard:
    board: Switchboard = request.app.state.sandbox.state.switchboard
    return board


def _render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    page: HTMLResponse = request.app.state.pages.render(request, f"operations/{template}", status_code=status_code, **context)
    return page


@router.get("")
async def show_switches(request: Request, principal: PageUser) -> HTMLResponse:
    return _show_all(request)


def _show_all(request: Request, *, error: str = "") -> HTMLResponse:
    return _render(
        request,
        "sandbox.html",
        status_code=422 if error else 200,
        board=_open(request).describe(),
        faults=_list_options(EXCHANGE_FAULTS),
        error=error,
    )


def _list_options(faults: Iterable[Fault]) -> list[tuple[str, str]]:
    return [("", "Fine"), *((fault.value, fault.value.replace("-", " ").capitalize()) for fault in faults)]


@router.post("/reset")
async def reset_sandbox(request: Request, principal: PageUser) -> Response:
    _open(request).reset()
    return RedirectResponse("/sandbox", status_code=303)


@router.get("/calls")
async def show_calls(
    request: Request,
    principal: PageUser,
    exchange: Annotated[str, Query(max_length=32)] = "",
    scenario: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    board = _open(request)
    return _render(
        request,
        "sandbox_calls.html",
        calls=board.list_calls(exchange=exchange, scenario=scenario, limit=_CALLS_SHOWN),
        exchanges=[(one.slug, one.name) for one in board.exchanges],
        exchange=exchange,
        scenario=scenario,
    )


@router.get("/{slug}")
async def show_keys(request: Request, principal: PageUser, slug: str) -> HTMLResponse:
    return _show_exchange(request, slug)


def _show_exchange(request: Request, slug: str, *, error: str = "") -> HTMLResponse:
    try:
        exchange = _open(request).describe_exchange(slug)
    except KeyError:
        raise NotFound("exchange") from None
    return _render(
        request,
        "sandbox_exchange.html",
        status_code=422 if error else 200,
        exchange=exchange,
        rights=[right.value for right in Permission],
        faults=_list_options(KEY_FAULTS),
        error=error,
    )


@router.post("/{slug}")
async def change_weather(request: Request, principal: PageUser, slug: str) -> Response:
    form = await read_form(request)
    try:
        _open(request).change_exchange(slug, _read_weather(form))
    except KeyError:
        raise NotFound("exchange") from None
    except SwitchError as error:
        return _show_all(request, error=str(error))
    return RedirectResponse(f"/sandbox#{slug}", status_code=303)


def _read_weather(form: Form) -> dict[str, Any]:
    return {
        "fault": form.get("fault", "") or None,
        "clock_ahead_seconds": _read_number(form.get("clock_ahead_seconds", "")) or 0,
        "latency_ms": _read_number(form.get("latency_ms", "")) or 0,
    }


@router.post("/{slug}/{scenario}")
async def change_key(request: Request, principal: PageUser, slug: str, scenario: str) -> Response:
    form = await read_form(request)
    try:
        _open(request).change_key(slug, scenario, _read_key(form))
    except KeyError:
        raise NotFound("sandbox key") from None
    except SwitchError as error:
        return _show_exchange(request, slug, error=str(error))
    return RedirectResponse(f"/sandbox/{slug}#{scenario}", status_code=303)


def _read_key(form: Form) -> dict[str, Any]:
    """Return a key's form as the switches take it: a box that is not ticked is off, an empty number is none."""
    return {
        "active": "active" in form,
        "awaits_email": "awaits_email" in form,
        "permissions": form.list_values("permissions"),
        "forms": form.list_values("forms"),
        "fault": form.get("fault", "") or None,
        "allowed_ips": [part.strip() for part in form.get("allowed_ips", "").split(",") if part.strip()],
        "valid_days": _read_number(form.get("valid_days", "")),
        "drifts_after": _read_number(form.get("drifts_after", "")),
        "permission_words": form.get("permission_words", "").strip() or None,
    }


@router.post("/{slug}/{scenario}/balance")
async def change_balance(request: Request, principal: PageUser, slug: str, scenario: str) -> Response:
    form = await read_form(request)
    values = {name: form.get(name, "") or "0" for name in ("available", "held")}
    try:
        _open(request).set_balance(
            slug, scenario, account=form.get("account", ""), asset=form.get("asset", "").strip(), values=values
        )
    except KeyError:
        raise NotFound("account") from None
    except SwitchError as error:
        return _show_exchange(request, slug, error=str(error))
    return RedirectResponse(f"/sandbox/{slug}#{scenario}", status_code=303)


def _read_number(text: str) -> float | str | None:
    """Return the number; None for an empty text; a text that is no number as it is, for the switch to refuse."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        return text
