"""The credentials pages: the list, one credential, and the verbs that change it. Connecting and replacing have their own file."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import PageTrader, PageTraderFresh, PageUser, Principal
from app.credentials import presentation
from app.credentials.check_streams import stream_check
from app.credentials.connect import ConnectRefused
from app.credentials.connect_routes import open_credentials, render
from app.credentials.connect_routes import router as connect_router
from app.credentials.listing import ListQuery
from app.credentials.live_routes import router as live_router
from app.credentials.pages import CHECKS_SHOWN, SHOW_DETAIL, find_site, render_credential, render_list
from app.credentials.rechecks import check_each
from app.credentials.service import Credentials
from app.credentials.streams import HEADERS, MEDIA_TYPE
from app.db import SessionDep
from app.web.forms import Form, read_form
from app.web.navigation import list_groups

router = APIRouter(include_in_schema=False)
_CHECKS_PER_PAGE = 50
Change = Callable[[Credentials, Form], Awaitable[None]]


def go_to(path: str) -> RedirectResponse:
    """Return the answer to a form that was done: the next page, asked for with GET."""
    return RedirectResponse(path, status_code=303)


@router.get("/")
async def show_start(principal: PageUser) -> Response:
    """Go to the first page of the person's role; credentials for a trader."""
    groups = list_groups([role.value for role in principal.roles], path="/")
    return go_to("/credentials" if groups and groups[0].name == "trader" else groups[0].links[0].href if groups else "/security")


@router.get("/credentials")
async def show_credentials(
    request: Request,
    principal: PageTrader,
    session: SessionDep,
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=40)] = "",
    sort: Annotated[str, Query(max_length=20)] = "",
    disconnected: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    views = await open_credentials(request, session).list_all(principal)
    return render_list(request, views, query=ListQuery(q, status, sort), disconnected=disconnected)


@router.post("/credentials/check-all")
async def check_all(request: Request, principal: PageTrader, session: SessionDep) -> Response:
    views = await open_credentials(request, session).list_all(principal)
    await session.rollback()  # each check has its own unit of work; this one must not hold a connection meanwhile
    database = request.app.state.database

    async def check(credential_id: str) -> None:
        async with database.write() as unit:
            await open_credentials(request, unit).check(principal, credential_id)

    await check_each([view.id for view in views if not view.paused], check=check)
    return go_to("/credentials")


router.include_router(connect_router)
router.include_router(live_router)


@router.get("/credentials/{credential_id}")
async def show_credential(
    request: Request, principal: PageTrader, session: SessionDep, credential_id: str, connected: str = ""
) -> HTMLResponse:
    credentials = open_credentials(request, session)
    view = await credentials.get(principal, credential_id)
    checks = await credentials.list_checks(principal, view.id, limit=CHECKS_SHOWN)
    changes = await credentials.list_changes(principal, view.id)
    template = "credentials/connected.html" if connected else SHOW_DETAIL
    return render_credential(request, view, checks=checks, changes=changes, template=template)


@router.get("/credentials/{credential_id}/checks")
async def show_checks(
    request: Request, principal: PageTrader, session: SessionDep, credential_id: str, before: str | None = None
) -> HTMLResponse:
    credentials = open_credentials(request, session)
    view = await credentials.get(principal, credential_id)
    checks = await credentials.list_checks(principal, credential_id, limit=_CHECKS_PER_PAGE, before=before)
    older = checks[-1].id if len(checks) == _CHECKS_PER_PAGE else None
    return render(request, "credentials/checks.html", view=view, checks=checks, older=older)


@router.get("/credentials/{credential_id}/guide")
async def show_guide(request: Request, principal: PageTrader, session: SessionDep, credential_id: str) -> HTMLResponse:
    view = await open_credentials(request, session).get(principal, credential_id)
    return render(
        request,
        "credentials/guide_page.html",
        view=view,
        boxes=presentation.list_boxes(view.exchange),
        egress=view.egress,
        site=find_site(request, view),
    )


@router.post("/credentials/{credential_id}/check")
async def check_credential(request: Request, principal: PageTrader, session: SessionDep, credential_id: str) -> Response:
    form = await read_form(request)
    if MEDIA_TYPE in request.headers.get("accept", ""):
        await session.rollback()  # the check has a unit of work of its own
        return StreamingResponse(stream_check(request, principal, credential_id), media_type=MEDIA_TYPE, headers=HEADERS)
    await open_credentials(request, session).check(principal, credential_id)
    return go_to(_locate_next(form.get("back", ""), credential_id))


def _locate_next(back: str, credential_id: str) -> str:
    """Return where the form came from: the list, at the same row, or the credential's own page."""
    return f"/credentials#{credential_id}" if back == "list" else f"/credentials/{credential_id}"


async def _update(
    request: Request, principal: Principal, session: AsyncSession, credential_id: str, *, change: Change
) -> Response:
    """Change one value; a value that cannot be used is explained on the credential's page, with nothing changed."""
    form = await read_form(request)
    credentials = open_credentials(request, session)
    try:
        await change(credentials, form)
    except ConnectRefused as refused:
        view = await credentials.get(principal, credential_id)
        checks = await credentials.list_checks(principal, view.id, limit=CHECKS_SHOWN)
        changes = await credentials.list_changes(principal, view.id)
        return render_credential(request, view, checks=checks, changes=changes, error=refused.advice)
    return go_to(_locate_next(form.get("back", ""), credential_id))


@router.post("/credentials/{credential_id}/rename")
async def rename_credential(request: Request, principal: PageTrader, session: SessionDep, credential_id: str) -> Response:
    async def change(credentials: Credentials, form: Form) -> None:
        await credentials.update(principal, credential_id, label=form.get("label", ""))

    return await _update(request, principal, session, credential_id, change=change)


@router.post("/credentials/{credential_id}/plan")
async def change_plan(request: Request, principal: PageTrader, session: SessionDep, credential_id: str) -> Response:
    async def change(credentials: Credentials, form: Form) -> None:
        await credentials.update(principal, credential_id, plan=form.get("plan", ""))

    return await _update(request, principal, session, credential_id, change=change)


@router.post("/credentials/{credential_id}/pause")
async def pause_credential(request: Request, principal: PageTrader, session: SessionDep, credential_id: str) -> Response:
    async def change(credentials: Credentials, _form: Form) -> None:
        await credentials.update(principal, credential_id, paused=True)

    return await _update(request, principal, session, credential_id, change=change)


@router.post("/credentials/{credential_id}/resume")
async def resume_credential(request: Request, principal: PageTrader, session: SessionDep, credential_id: str) -> Response:
    async def change(credentials: Credentials, _form: Form) -> None:
        await credentials.update(principal, credential_id, paused=False)

    return await _update(request, principal, session, credential_id, change=change)


@router.get("/credentials/{credential_id}/disconnect")
async def confirm_disconnect(
    request: Request, principal: PageTraderFresh, session: SessionDep, credential_id: str
) -> HTMLResponse:
    view = await open_credentials(request, session).get(principal, credential_id)
    return render(request, "credentials/disconnect.html", view=view, site=find_site(request, view))


@router.post("/credentials/{credential_id}/disconnect")
async def disconnect_credential(
    request: Request, principal: PageTraderFresh, session: SessionDep, credential_id: str
) -> Response:
    credentials = open_credentials(request, session)
    view = await credentials.get(principal, credential_id)
    await credentials.disconnect(principal, credential_id)
    return go_to(f"/credentials?disconnected={view.exchange.slug}")
