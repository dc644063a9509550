"""Who did what to which object: one row per event, written in the same transaction as the deed. Never a secret."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime
from app.identifiers import create_id


class AuditEvent(Base):
    """One event. `owner_id` is the user whose account it concerns, `actor_id` who acted (None: the server)."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_owner_at", "owner_id", "at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    actor_id: Mapped[str | None] = mapped_column(String(32))
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    actor_ip: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)


def record_event(
    session: AsyncSession,
    action: str,
    *,
    at: datetime,
    actor_id: str | None,
    owner_id: str | None,
    object_id: str | None = None,
    actor_ip: str | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:
    """Add an event to the unit of work. `action` is `noun.verb`, such as `credential.connected`."""
    session.add(
        AuditEvent(
            id=create_id("evt"),
            at=at,
            actor_id=actor_id,
            owner_id=owner_id,
            actor_ip=actor_ip,
            action=action,
            object_id=object_id,
            detail=dict(detail or {}),
        )
    )
