"""The balances page: what every key holds, how old that is, and what is not counted and why."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import PageTrader
from app.balances.service import Balances
from app.credentials.service import Credentials
from app.db import SessionDep

router = APIRouter(include_in_schema=False)


def open_balances(request: Request, session: AsyncSession) -> Balances:
    state = request.app.state
    credentials = Credentials(session, vault=state.vault, exchanges=state.exchanges, settings=state.settings, clock=state.clock)
    return Balances(credentials, clock=state.clock)


@router.get("/balances")
async def show_balances(
    request: Request, principal: PageTrader, session: SessionDep, q: Annotated[str, Query(max_length=40)] = ""
) -> HTMLResponse:
    overview = await open_balances(request, session).describe(principal, find=q)
    page: HTMLResponse = request.app.state.pages.render(request, "balances/balances.html", overview=overview)
    return page
