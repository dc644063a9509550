"""GET /api/v1/alerts: what changed about one's keys, for programs that ask rather than being called."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.accounts.current_user import ApiStatus
from app.alerts.inbox import InboxItem
from app.alerts.requests import InboxDep
from app.web.documents import describe_refusals

router = APIRouter(prefix="/api/v1", tags=["alerts"])


class AlertOut(BaseModel):
    """One alert. `kind` and `phase` are stable words, `title` and `detail` are for people."""

    id: str = Field(examples=["alt_0123456789abcdefghjkmnpqrs"])
    at: datetime
    kind: str = Field(examples=["withdraw_gained"])
    phase: str = Field(description="`began`, `nearer`, `ended` or `happened`.", examples=["began"])
    title: str = Field(examples=["Main at HTX can withdraw now"])
    detail: str
    credential_id: str | None = Field(examples=["crd_0123456789abcdefghjkmnpqrs"])
    read: bool


class AlertPage(BaseModel):
    items: list[AlertOut]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


@router.get("/alerts", responses=describe_refusals(401, 403, 422))
async def list_alerts(
    principal: ApiStatus,
    inbox: InboxDep,
    *,
    limit: Annotated[int, Query(ge=1, le=100, description="How many items at most.")] = 50,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
    unread: Annotated[Literal["true", "false"], Query(description="Only those that were not read yet.")] = "false",
) -> AlertPage:
    """List alerts, newest first."""
    page = await inbox.list_page(principal, before=cursor, only_unread=unread == "true", limit=limit)
    return AlertPage(items=[_present(item) for item in page.items], next_cursor=page.older)


def _present(item: InboxItem) -> AlertOut:
    message = item.message
    return AlertOut(
        id=message.id,
        at=message.at,
        kind=message.kind,
        phase=message.phase,
        title=message.title,
        detail=message.detail,
        credential_id=message.credential_id,
        read=item.is_read,
    )
