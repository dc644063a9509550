"""Tables of what changed about a key: one row per change, kept as its dated history and as the outbox of alerts.

A change is written in the transaction that stores the check which found it, so none is told that did not happen, and
none that happened is lost.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime

_UNTOLD = text("told_at IS NULL")


class ChangeKind(StrEnum):
    """What may change. All but `addresses_changed` are conditions: they begin, last, and end."""

    WITHDRAW_GAINED = "withdraw_gained"
    TRANSFER_GAINED = "transfer_gained"
    RIGHT_LOST = "right_lost"
    STOPPED_WORKING = "stopped_working"
    EXPIRING = "expiring"
    ADDRESSES_CHANGED = "addresses_changed"
    BALANCES_OLD = "balances_old"


class Phase(StrEnum):
    """`nearer`: a condition that lasts came closer (fewer days left)."""

    BEGAN = "began"
    NEARER = "nearer"
    ENDED = "ended"
    HAPPENED = "happened"


class CredentialChange(Base):
    """One change. `facts` holds short texts for people (before, after, code, days); `told_at`: when alerts took it over."""

    __tablename__ = "credential_changes"
    __table_args__ = (
        Index("ix_credential_changes_credential_id_at", "credential_id", "at"),
        Index("ix_credential_changes_untold", "at", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    phase: Mapped[str] = mapped_column(String(16))
    facts: Mapped[dict[str, str]] = mapped_column(JSON)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CredentialWatch(Base):
    """What the next check is compared with: the last definite rights, the bound addresses, and the open conditions.

    `conditions` maps a kind to what was told of it: the days left (expiry), the lost rights, or an empty text.
    `balances_old_since` stands apart: it is set when nothing happened, by no check.
    """

    __tablename__ = "credential_watch"

    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True)
    rights: Mapped[dict[str, str]] = mapped_column(JSON)
    addresses: Mapped[list[str] | None] = mapped_column(JSON)
    conditions: Mapped[dict[str, str]] = mapped_column(JSON)
    balances_old_since: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
