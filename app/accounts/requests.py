"""What the routes of people share: the service, where a request came from, and which page comes next."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from app.accounts.current_user import PageVisitor, read_ip
from app.accounts.entrances import PENDING_LASTS, HalfOpen, OpenedSession
from app.accounts.entry import Visit
from app.accounts.passkey_ceremonies import find_relying_party
from app.accounts.places import FAMILIAR_FOR
from app.accounts.roles import find_landing
from app.accounts.service import Accounts
from app.accounts.tokens import (
    clear_pending_cookie,
    device_cookie_name,
    hash_token,
    pending_cookie_name,
    set_device_cookie,
    set_pending_cookie,
    set_session_cookie,
)
from app.db import SessionDep
from app.masking import Secret
from app.web.forms import Form

_LONGEST_NEXT = 2000
_LONGEST_USER_AGENT = 300
_WAYS_IN = frozenset({"/sign-in", "/sign-in/code", "/sign-in/passkey", "/sign-out", "/security/confirm"})


@dataclass(frozen=True, slots=True)
class PasskeyPlace:
    """Where passkeys of this installation work: at `origin`, None for nowhere; `is_here` when the page is open there."""

    origin: str | None
    is_here: bool


async def open_accounts(request: Request, session: SessionDep) -> Accounts:
    state = request.app.state
    return Accounts(session, clock=state.clock, passwords=state.passwords, settings=state.settings, vault=state.vault)


async def read_visit(request: Request, visitor: PageVisitor) -> Visit:
    """Return where the request came from, in characters that can be stored and shown."""
    device = "".join(character for character in request.headers.get("user-agent", "") if character.isprintable())
    known_by = request.cookies.get(device_cookie_name(uses_https=request.app.state.settings.uses_https), "")
    mark = hash_token(Secret(known_by)) if known_by else ""
    return Visit(read_ip(request), device[:_LONGEST_USER_AGENT], visitor.session_id if visitor else None, mark)


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
    return "" if parts.scheme or parts.netloc or parts.path in _WAYS_IN else text


def read_pending(request: Request) -> Secret:
    """Return the token of the half-open sign-in this browser holds; an empty one stands for none."""
    return Secret(request.cookies.get(pending_cookie_name(uses_https=request.app.state.settings.uses_https), ""))


PendingToken = Annotated[Secret, Depends(read_pending)]


def locate_passkeys(request: Request) -> PasskeyPlace:
    """Tell where passkeys work. On this machine's own address a page must be opened by the name localhost."""
    party = find_relying_party(request.app.state.settings.public_url)
    if party is None:
        return PasskeyPlace(None, is_here=False)
    return PasskeyPlace(party.origin, is_here=party.id != "localhost" or request.url.hostname == party.id)


def answer_sign_in(request: Request, opened: OpenedSession | HalfOpen, *, next_path: str = "") -> Response:
    """Let the person in, or on to the page that asks for the second factor."""
    if isinstance(opened, OpenedSession):
        return let_in(request, opened, next_path=next_path)
    wanted = clean_next(next_path)
    response = redirect(f"/sign-in/code?next={quote(wanted, safe='/')}" if wanted else "/sign-in/code")
    uses_https, lasts_seconds = request.app.state.settings.uses_https, int(PENDING_LASTS.total_seconds())
    set_pending_cookie(response, opened.token, uses_https=uses_https, lasts_seconds=lasts_seconds)
    return response


def let_in(request: Request, opened: OpenedSession, *, next_path: str = "") -> Response:
    """Answer a successful way in: the session's cookie, and on to the page that was asked for or the person's first one."""
    response = redirect(clean_next(next_path) or find_landing(opened.roles))
    renew(request, response, opened.token)
    if pending_cookie_name(uses_https=request.app.state.settings.uses_https) in request.cookies:
        clear_pending_cookie(response, uses_https=request.app.state.settings.uses_https)
    return remember_device(request, response, opened.device_token)


def remember_device(request: Request, response: Response, token: Secret | None) -> Response:
    """Let the browser keep what it is known by, anew if there is a new one."""
    uses_https = request.app.state.settings.uses_https
    kept = token or Secret(request.cookies.get(device_cookie_name(uses_https=uses_https), ""))
    if kept:
        set_device_cookie(response, kept, uses_https=uses_https, lasts_seconds=int(FAMILIAR_FOR.total_seconds()))
    return response


def renew(request: Request, response: Response, token: Secret) -> Response:
    """Put the session's new token into the browser's cookie."""
    set_session_cookie(response, token, uses_https=request.app.state.settings.uses_https)
    return response


def is_sent_again(form: Form) -> bool:
    """Tell whether the form comes by way of the page that asks for a proof: then what it may not keep is missing."""
    return "confirm_again" in form


def redirect(path: str) -> Response:
    """Answer a form that did its work: the browser fetches the page anew, so that a reload repeats nothing."""
    return RedirectResponse(path, status_code=303)
