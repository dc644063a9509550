"""What the routes of people share: the service, where a request came from, and which page comes next."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from app.accounts.current_user import PageVisitor, read_ip
from app.accounts.entrances import OpenedSession
from app.accounts.entry import Visit
from app.accounts.roles import find_landing
from app.accounts.service import Accounts
from app.accounts.tokens import set_session_cookie
from app.db import SessionDep

_LONGEST_NEXT = 2000
_LONGEST_USER_AGENT = 300


async def open_accounts(request: Request, session: SessionDep) -> Accounts:
    state = request.app.state
    return Accounts(session, clock=state.clock, passwords=state.passwords, settings=state.settings)


async def read_visit(request: Request, visitor: PageVisitor) -> Visit:
    """Return where the request came from, in characters that can be stored and shown."""
    device = "".join(character for character in request.headers.get("user-agent", "") if character.isprintable())
    return Visit(read_ip(request), device[:_LONGEST_USER_AGENT], visitor.session_id if visitor else None)


AccountsDep = Annotated[Accounts, Depends(open_accounts)]
VisitDep = Annotated[Visit, Depends(read_visit)]


def clean_next(text: str) -> str:
    """Return the path of this site to go to after signing in, or nothing: never another site, never the way in itself."""
    if not text.startswith("/") or text.startswith("//") or "\\" in text or not text.isprintable() or len(text) > _LONGEST_NEXT:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc or parts.path in ("/sign-in", "/sign-out") else text


def let_in(request: Request, opened: OpenedSession, *, next_path: str = "") -> Response:
    """Answer a successful way in: the session's cookie, and on to the page that was asked for or the person's first one."""
    response = redirect(clean_next(next_path) or find_landing(opened.roles))
    set_session_cookie(response, opened.token, uses_https=request.app.state.settings.uses_https)
    return response


def redirect(path: str) -> Response:
    """Answer a form that did its work: the browser fetches the page anew, so that a reload repeats nothing."""
    return RedirectResponse(path, status_code=303)
