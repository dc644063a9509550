"""The table of recent changes: what an open page must look at again. Ids and words only, kept for some minutes."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime


class LiveEvent(Base):
    """One change of something a user's page shows. No foreign keys: a change outlives what it tells of (disconnected)."""

    __tablename__ = "live_events"
    __table_args__ = (Index("ix_live_events_user_id_at", "user_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(32))
    credential_id: Mapped[str | None] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
