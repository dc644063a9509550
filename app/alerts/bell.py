"""The number of unread alerts beside the bell, on every page a trader opens."""

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.accounts.roles import Role
from app.alerts import repository

_WITHOUT_NAVIGATION = ("/api/", "/live")


async def count_for_navigation(request: Request, session: AsyncSession, principal: Principal) -> dict[str, int]:
    """Return the numbers that this page's navigation shows; none where there is no bell."""
    if Role.TRADER not in principal.roles or request.url.path.startswith(_WITHOUT_NAVIGATION):
        return {}
    count = await repository.count_unread(session, user_id=principal.user_id)
    return {"alerts": count} if count else {}
