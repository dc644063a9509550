"""The support page. A search is a POST: it writes to the customer's activity, and keeps e-mail addresses out of URLs."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import PageSupport
from app.credentials.service import Credentials
from app.db import SessionDep
from app.support.service import LONGEST_QUERY, LONGEST_TICKET, SHORTEST_QUERY, LookUp, LookUpState, Support
from app.web.forms import read_form

router = APIRouter(include_in_schema=False)


def open_support(request: Request, session: AsyncSession) -> Support:
    state = request.app.state
    credentials = Credentials(session, vault=state.vault, exchanges=state.exchanges, settings=state.settings, clock=state.clock)
    return Support(session, credentials=credentials, clock=state.clock)


@router.get("/support")
async def show_support(request: Request, principal: PageSupport) -> HTMLResponse:
    return _render(request, LookUp(LookUpState.EMPTY))


@router.post("/support")
async def search_support(request: Request, principal: PageSupport, session: SessionDep) -> HTMLResponse:
    form = await read_form(request)
    support = open_support(request, session)
    return _render(request, await support.look_up(principal, form.get("q", ""), ticket=form.get("ticket", "")))


def _render(request: Request, found: LookUp) -> HTMLResponse:
    page: HTMLResponse = request.app.state.pages.render(
        request,
        "support/support.html",
        status_code=422 if found.state in (LookUpState.TOO_SHORT, LookUpState.NO_TICKET) else 200,
        found=found,
        shortest=SHORTEST_QUERY,
        longest=LONGEST_QUERY,
        longest_ticket=LONGEST_TICKET,
    )
    return page
