"""Live pages: the stream that says what changed, and the same pages once more for their own scripts to take parts from.

The stream carries ids; what to show comes by the ordinary way, rendered and authorised like any page. Neither counts as
activity: a session that nobody uses idles out behind an open page.
"""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.accounts.watching import PageWatcher, QuietTrader
from app.credentials.connect_routes import open_credentials
from app.credentials.pages import CHECKS_SHOWN, render_credential, render_list
from app.db import SessionDep
from app.live.hub import Crowded
from app.live.stream import Place, follow, parse_moment
from app.web.errors import Problem

router = APIRouter(include_in_schema=False)
_IDS_AT_ONCE = 100


def _refuse(crowded: Crowded) -> Problem:
    return Problem(
        "too_many_streams",
        status=429 if crowded.is_own else 503,
        title="Too many pages are open at once",
        detail="Pages beyond the limit do not update by themselves; reloading them still works.",
        who_acts="trader" if crowded.is_own else "operator",
        next_step="Close pages you do not need." if crowded.is_own else "Start another web server.",
    )


async def take_place(request: Request, watcher: PageWatcher) -> AsyncIterator[Place]:
    """Give a stream its place for as long as it is open. Raises Problem when there is none left."""
    state = request.app.state
    try:
        seat = state.live.hub.take_seat(watcher.principal.user_id)
    except Crowded as crowded:
        raise _refuse(crowded) from None
    try:
        yield Place(state.live.hub, seat, state.database, state.clock)
    finally:
        state.live.hub.leave(seat)


@router.get("/live", response_class=EventSourceResponse)
async def stream_changes(
    place: Annotated[Place, Depends(take_place)],
    watcher: PageWatcher,
    *,
    after: Annotated[str, Query(max_length=20)] = "",
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Stream what changes for the person, from the moment their page was made or their stream was lost."""
    since = parse_moment(last_event_id or after, now=place.clock())
    async for event in follow(place, after=since, is_allowed=watcher.is_allowed):
        yield event


@router.get("/credentials/live")
async def show_changed(
    request: Request,
    principal: QuietTrader,
    session: SessionDep,
    changed: Annotated[list[str], Query(alias="id", max_length=_IDS_AT_ONCE)],
) -> HTMLResponse:
    """The list with the changed credentials only; its figures count all."""
    views = await open_credentials(request, session).list_all(principal)
    return render_list(request, views, only=frozenset(changed))


@router.get("/credentials/{credential_id}/live")
async def show_credential_again(
    request: Request, principal: QuietTrader, session: SessionDep, credential_id: str
) -> HTMLResponse:
    credentials = open_credentials(request, session)
    view = await credentials.get(principal, credential_id)
    checks = await credentials.list_checks(principal, view.id, limit=CHECKS_SHOWN)
    changes = await credentials.list_changes(principal, view.id)
    return render_credential(request, view, checks=checks, changes=changes)
