"""Who looks on: pages that keep themselves fresh are identified like any other, but looking on is no activity.

A session that nobody uses must idle out, however many of its pages are open.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal, demand_role, identify_quietly, require_user
from app.accounts.roles import Role
from app.db import Database, SessionDep
from app.web.errors import SignInNeeded


@dataclass(frozen=True, slots=True)
class Watcher:
    """A signed-in browser that opens a stream; `is_allowed` looks whether it still is signed in."""

    principal: Principal
    is_allowed: Callable[[AsyncSession], Awaitable[bool]]


async def require_watcher(request: Request) -> Watcher:
    """Return who watches. Holds no connection: a stream lives long. Raises SignInNeeded."""
    database: Database = request.app.state.database
    async with database.read() as session:
        principal = await identify_quietly(request, session, draws_page=False)
    if principal is None:
        raise SignInNeeded
    await require_user(principal)

    async def is_allowed(session: AsyncSession) -> bool:
        found = await identify_quietly(request, session, draws_page=False)
        return found is not None and not found.must_set_up and found.session_id == principal.session_id

    return Watcher(principal, is_allowed)


class QuietRole:
    """A part of a page, fetched again by the page itself, for people with one of these roles."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, request: Request, session: SessionDep) -> Principal:
        """Return who looks on. Raises SignInNeeded or Forbidden."""
        principal = await identify_quietly(request, session)
        if principal is None:
            raise SignInNeeded
        demand_role(await require_user(principal), self.roles)
        return principal


PageWatcher = Annotated[Watcher, Depends(require_watcher)]
QuietTrader = Annotated[Principal, Depends(QuietRole(Role.TRADER))]
QuietOperator = Annotated[Principal, Depends(QuietRole(Role.OPERATOR))]
