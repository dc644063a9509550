"""The /activity page: what happened to one's account and keys, searched and narrowed by a plain form, and as CSV."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.accounts.activity_export import write_csv
from app.accounts.activity_query import KINDS, LONGEST_TEXT, PERIODS, ActivityQuery
from app.accounts.current_user import PageUser
from app.accounts.requests import AccountsDep
from app.web.pages import Pages

router = APIRouter(include_in_schema=False)
_FILE_NAME = "keydeck-activity.csv"


@router.get("/activity")
async def show_activity(
    request: Request, principal: PageUser, accounts: AccountsDep, before: Annotated[str | None, Query()] = None
) -> HTMLResponse:
    query = ActivityQuery.read(request.query_params)
    found = await accounts.list_activity(principal, query=query, before=before)
    pages: Pages = request.app.state.pages
    return pages.render(
        request,
        "accounts/activity.html",
        activity=found,
        query=query,
        is_first=before is None,
        kinds=[("", "Everything"), *((kind.name, kind.words) for kind in KINDS)],
        periods=[(str(days), words) for days, words in PERIODS],
        longest=LONGEST_TEXT,
    )


@router.get("/activity.csv")
async def export_activity(request: Request, principal: PageUser, accounts: AccountsDep) -> Response:
    """Return every event that the same question finds, not just one page of them."""
    events = await accounts.export_activity(principal, query=ActivityQuery.read(request.query_params))
    headers = {"Content-Disposition": f'attachment; filename="{_FILE_NAME}"'}
    return Response(write_csv(events), media_type="text/csv; charset=utf-8", headers=headers)
