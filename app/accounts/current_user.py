"""Who asks: every route that is not public takes one of these dependencies and gets a Principal.

Identity is read in a transaction that is over before the route begins: no writer's lock waits for a slow request body,
and a role taken away counts from the next request on.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import repository
from app.accounts.proof_problems import FactorNeeded, ProofNeeded
from app.accounts.repository import IDLE_FOR, Identity
from app.accounts.roles import STAFF, Role, Scope, parse_roles, parse_scopes, roles_for_scope
from app.accounts.tokens import hash_token, looks_like_api_token, session_cookie_name
from app.db import Database, SessionDep
from app.masking import Secret
from app.web.errors import Forbidden, SignInNeeded
from app.web.forms import Form, read_form

logger = logging.getLogger(__name__)
_BEARER = HTTPBearer(
    scheme_name="API token", description="A personal API token, `kd_…`, made on the Security page.", auto_error=False
)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROOF_LASTS = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts. `scopes` is None for a browser session (it may do all its roles may); `ip` is where the request came from.

    `proved_at`, `ends_at` and `is_offered_factor` are known of browser sessions only. `must_set_up` shuts all but set-up.
    """

    user_id: str
    email: str
    roles: frozenset[Role]
    scopes: frozenset[Scope] | None
    session_id: str | None
    token_id: str | None
    ip: str
    proved_at: datetime | None = None
    ends_at: datetime | None = None
    has_totp: bool = False
    has_passkey: bool = False
    must_set_up: bool = False
    is_offered_factor: bool = False

    @property
    def has_factor(self) -> bool:
        return self.has_totp or self.has_passkey

    def is_proved(self, now: datetime) -> bool:
        """Tell whether the last proof is at most five minutes old."""
        return self.proved_at is not None and now - self.proved_at <= PROOF_LASTS

    def has_any(self, roles: frozenset[Role]) -> bool:
        return bool(self.roles & roles)


def read_ip(request: Request) -> str:
    """Return the address the request came from; behind a trusted proxy the server has already put the client's there."""
    return request.client.host[:64] if request.client else "unknown"


async def _identify_browser(
    request: Request, session: AsyncSession, *, notes_use: bool = True, draws_page: bool = True
) -> Principal | None:
    """Return who the session cookie stands for, or None."""
    cookie = request.cookies.get(session_cookie_name(uses_https=request.app.state.settings.uses_https))
    if not cookie:
        return None
    now = request.app.state.clock()
    digest = hash_token(Secret(cookie))
    found = await _look_up(request, session, lambda unit: repository.get_by_session(unit, digest, now=now))
    if found is None:
        return None
    if notes_use and found.is_stale(now):
        door_id = found.door_id
        await _note_use(request, session, lambda unit: repository.touch_session(unit, door_id, now=now))
        found = replace(found, last_used_at=now)
    principal = _remember(request, found, scopes=None)
    if draws_page and request.method == "GET":  # a page may be drawn, with numbers beside the links of its navigation
        request.state.nav_counts = await request.app.state.count_navigation(request, session, principal)
    return principal


async def identify_quietly(request: Request, session: AsyncSession, *, draws_page: bool = True) -> Principal | None:
    """Return who the session cookie stands for now, or None: looking on is no activity, and is not written down."""
    return await _identify_browser(request, session, notes_use=False, draws_page=draws_page)


async def _identify_token(request: Request, session: AsyncSession) -> Principal | None:
    """Return who the bearer token stands for, or None when the request carries none. Raises SignInNeeded for a wrong one."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, given = header.partition(" ")
    token = Secret(given.strip())
    if scheme.lower() != "bearer" or not looks_like_api_token(token):
        raise SignInNeeded
    now = request.app.state.clock()
    found = await _look_up(request, session, lambda unit: repository.get_by_token(unit, hash_token(token), now=now))
    if found is None:
        raise SignInNeeded
    if found.is_stale(now):
        await _note_use(request, session, lambda unit: repository.touch_token(unit, found.door_id, now=now))
    return _remember(request, found, scopes=parse_scopes(found.scopes))


async def _look_up(
    request: Request, session: AsyncSession, look: Callable[[AsyncSession], Awaitable[Identity | None]]
) -> Identity | None:
    """Read the identity: in the request's own session if that one reads, else in a short one that takes no writer's lock."""
    if request.method in _SAFE_METHODS:
        return await look(session)
    database: Database = request.app.state.database
    async with database.read() as unit:
        return await look(unit)


async def _note_use(request: Request, session: AsyncSession, note: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Write down the use, at most once a minute, in a short transaction of its own."""
    await session.rollback()  # gives the connection back, so that no request ever holds two
    database: Database = request.app.state.database
    try:
        async with database.write() as unit:
            await note(unit)
    except OperationalError:
        logger.info("a busy database did not take the time of last use; the next request tries again")


def _remember(request: Request, found: Identity, *, scopes: frozenset[Scope] | None) -> Principal:
    """Return who asks. A token opens no more than its owner's browser would: it owes a second factor as they do."""
    roles, facts, has_factor = parse_roles(found.roles), found.facts, found.has_totp or found.has_passkey
    principal = Principal(
        user_id=found.user_id,
        email=found.email,
        roles=roles,
        scopes=scopes,
        session_id=found.door_id if facts else None,
        token_id=None if facts else found.door_id,
        ip=read_ip(request),
        has_totp=found.has_totp,
        has_passkey=found.has_passkey,
        must_set_up=not has_factor and bool(roles & STAFF) and not request.app.state.settings.is_loopback_only,
    )
    if facts is not None:
        principal = replace(
            principal,
            proved_at=facts.proved_at,
            ends_at=min(facts.expires_at, (found.last_used_at or facts.expires_at) + IDLE_FOR),
            is_offered_factor=not has_factor and facts.factor_offer_closed_at is None,
        )
    request.state.viewer = principal
    return principal


async def find_visitor(request: Request, session: SessionDep) -> Principal | None:
    """Return the signed-in person, or None: for pages that strangers may open too."""
    return await _identify_browser(request, session)


async def require_session(principal: Annotated[Principal | None, Depends(find_visitor)]) -> Principal:
    """Return the signed-in person, who may still owe a second factor. Raises SignInNeeded."""
    if principal is None:
        raise SignInNeeded
    return principal


PageVisitor = Annotated[Principal | None, Depends(find_visitor)]
PageSession = Annotated[Principal, Depends(require_session)]


async def require_user(principal: PageSession) -> Principal:
    """Return the signed-in person. Raises SignInNeeded, or FactorNeeded where the role needs a second factor."""
    if principal.must_set_up:
        raise FactorNeeded
    return principal


PageUser = Annotated[Principal, Depends(require_user)]


class PageRole:
    """A page for people with one of these roles. Raises SignInNeeded or Forbidden."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, principal: PageUser) -> Principal:
        demand_role(principal, self.roles)
        return principal


async def require_api_user(
    request: Request, session: SessionDep, _scheme: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Principal:
    """Return whose API token this is; a browser session may read, too. Raises SignInNeeded or FactorNeeded."""
    principal = await _identify_token(request, session)
    if principal is None and request.method in _SAFE_METHODS:
        principal = await _identify_browser(request, session)
    if principal is None:
        raise SignInNeeded
    return await require_user(principal)


ApiUser = Annotated[Principal, Depends(require_api_user)]


class ApiScope:
    """An API call that needs this scope (a browser session has all) and a role that fits it. Raises SignInNeeded or Forbidden."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, principal: ApiUser) -> Principal:
        if principal.scopes is not None and self.scope not in principal.scopes:
            raise Forbidden(f"a token with the scope {self.scope.value}")
        demand_role(principal, roles_for_scope(self.scope))
        return principal


def demand_role(principal: Principal, roles: frozenset[Role]) -> None:
    """Raise Forbidden unless the person has one of the roles."""
    if not principal.has_any(roles):
        raise Forbidden("the role " + " or ".join(role.value for role in Role if role in roles))


Keeper = Callable[[Request, Form], list[tuple[str, str]]]
"""Returns the fields of a form that may be shown again."""


class FreshProof:
    """A page that takes a proof at most five minutes old, and one of these roles if any are named.

    Raises SignInNeeded, FactorNeeded, Forbidden or ProofNeeded; the last keeps the form's fields of these names, or those
    a keeper picks, never others. An API token needs none: the token was made under such a proof.
    """

    def __init__(self, *roles: Role, keeps: tuple[str, ...] | Keeper = ()) -> None:
        self.roles = frozenset(roles)
        self.keeps = keeps

    async def __call__(self, request: Request, principal: PageUser) -> Principal:
        if self.roles:
            demand_role(principal, self.roles)
        if not principal.is_proved(request.app.state.clock()):
            raise ProofNeeded(await self._keep(request))
        return principal

    async def _keep(self, request: Request) -> list[tuple[str, str]]:
        if request.method in _SAFE_METHODS or not self.keeps:
            return []
        return self.pick_kept(request, await read_form(request))

    def pick_kept(self, request: Request, form: Form) -> list[tuple[str, str]]:
        """Return the fields of a form sent to this page that may be shown again."""
        if callable(self.keeps):
            return self.keeps(request, form)
        return [(name, value) for name in self.keeps for value in form.list_values(name)]


async def require_fresh_session(request: Request, principal: PageSession) -> Principal:
    """Return the person, freshly proved, who may still owe a second factor. Raises SignInNeeded or ProofNeeded."""
    if not principal.is_proved(request.app.state.clock()):
        raise ProofNeeded
    return principal


PageSessionFresh = Annotated[Principal, Depends(require_fresh_session)]
PageUserFresh = Annotated[Principal, Depends(FreshProof())]
PageTraderFresh = Annotated[Principal, Depends(FreshProof(Role.TRADER))]
PageOperatorFresh = Annotated[Principal, Depends(FreshProof(Role.OPERATOR))]
PageTrader = Annotated[Principal, Depends(PageRole(Role.TRADER))]
PageSupport = Annotated[Principal, Depends(PageRole(*STAFF))]
PageOperator = Annotated[Principal, Depends(PageRole(Role.OPERATOR))]
ApiStatus = Annotated[Principal, Depends(ApiScope(Scope.STATUS_READ))]
ApiBalances = Annotated[Principal, Depends(ApiScope(Scope.BALANCES_READ))]
ApiManage = Annotated[Principal, Depends(ApiScope(Scope.CREDENTIALS_MANAGE))]
ApiSupport = Annotated[Principal, Depends(ApiScope(Scope.SUPPORT_READ))]
