"""Tables of alerts: what a person is told, the channels it goes out by, and the outbox of deliveries.

An alert and its deliveries are written in one transaction. No text is stored: a message is made of kind, phase and facts
when it is shown or sent, so that it never holds more than its place may see.
"""

from datetime import datetime

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime

_UNREAD = text("read_at IS NULL")
_WAITING = text("state = 'waiting'")


class Alert(Base):
    """What a person was told. `change_id` makes it once; an erased key takes its alerts along."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_user_id_at", "user_id", "at"),
        Index("ix_alerts_unread", "user_id", sqlite_where=_UNREAD, postgresql_where=_UNREAD),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    credential_id: Mapped[str | None] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"), index=True)
    change_id: Mapped[str | None] = mapped_column(String(32), unique=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    phase: Mapped[str] = mapped_column(String(16))
    facts: Mapped[dict[str, str]] = mapped_column(JSON)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlertChannel(Base):
    """A way out. `value_id` leads to its sealed address and secret; `hint` is what a page may show of the address.

    `claimed_at` marks that somebody is sending; `tried_at` when it was last tried: a channel gets one message a minute.
    `failing_since` and `failure` say that it does not work.
    """

    __tablename__ = "alert_channels"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(60))
    hint: Mapped[str] = mapped_column(String(80))
    value_id: Mapped[str | None] = mapped_column(String(32))
    events: Mapped[list[str]] = mapped_column(JSON)
    shows_labels: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(String(200))


class AlertDelivery(Base):
    """One alert on its way out by one channel: the outbox, and afterwards the log. `alert_id` is None for a test."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        UniqueConstraint("channel_id", "alert_id"),
        Index("ix_alert_deliveries_channel_id_created_at", "channel_id", "created_at"),
        Index("ix_alert_deliveries_waiting", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("alert_channels.id", ondelete="CASCADE"))
    alert_id: Mapped[str | None] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str | None] = mapped_column(String(200))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlertPreferences(Base):
    """What a person chose for all channels: quiet hours (minutes of the day in a time zone) and the calendar's link."""

    __tablename__ = "alert_preferences"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    quiet_from: Mapped[int | None] = mapped_column(Integer)
    quiet_to: Mapped[int | None] = mapped_column(Integer)
    time_zone: Mapped[str] = mapped_column(String(64))
    calendar_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    calendar_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
