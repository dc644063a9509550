"""Tables of credentials: what is stored of a key, its sealed secrets apart, its checks and its newest balances.

Slugs are text, validated against the registry: an enum in the database would cost a migration per exchange.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Computed, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime

_DUE_AT = (
    "CASE WHEN paused_at IS NOT NULL THEN NULL"
    " WHEN quarantined_at IS NULL AND next_balances_at < next_check_at THEN next_balances_at"
    " ELSE next_check_at END"
)


class Credential(Base):
    """What a user gave us for one account at one exchange.

    `attested_at`: when the trader said Withdraw is off. `key_set_at`: since when the present key is here (None: from
    the start). The two check ids spare the lists a search through the history: the newest check, and the newest that
    tells something of the key. `next_check_at`: when its rights are looked at again (None: not planned), and
    `next_balances_at` its balances alone, where that comes sooner. `quarantined_at`: since when the key may do more than
    it should; then only its rights are looked at. `due_at` is the queue: the sooner of the two, made by the database.
    `way`: the way out its calls leave by (None: not chosen yet), `former_way` the one before, until a check has passed
    on the new one. `checked_at` and `checked_code` repeat the newest check, for comparing keys with each other.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        UniqueConstraint("user_id", "exchange", "environment", "fingerprint"),
        Index("ix_credentials_user_id_id", "user_id", "id"),
        Index("ix_credentials_exchange_environment_due_at", "exchange", "environment", "due_at"),
        Index("ix_credentials_exchange_environment_checked_at", "exchange", "environment", "checked_at"),
    )
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012  # read by the mapper; nobody reads due_at back from an insert

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    exchange: Mapped[str] = mapped_column(String(32))
    environment: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(40))
    plan: Mapped[str] = mapped_column(String(16))
    key_hint: Mapped[str] = mapped_column(String(8))
    fingerprint: Mapped[str] = mapped_column(String(64))
    account_id: Mapped[str | None] = mapped_column(String(64))
    secret_version: Mapped[int] = mapped_column(Integer)
    key_set_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checking_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_balances_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    quarantined_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, Computed(_DUE_AT, persisted=True))
    newest_check_id: Mapped[str | None] = mapped_column(String(32))
    telling_check_id: Mapped[str | None] = mapped_column(String(32))
    way: Mapped[str | None] = mapped_column(String(64))
    former_way: Mapped[str | None] = mapped_column(String(64))
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_code: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CredentialSecret(Base):
    """The sealed secrets of a credential, in a table of their own that support queries never join."""

    __tablename__ = "credential_secrets"

    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True)
    secret_version: Mapped[int] = mapped_column(Integer)
    kid: Mapped[str] = mapped_column(String(32), index=True)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class KeyCheck(Base):
    """One dated attempt to use a credential, and what came back. `code` is `ok` or a problem code.

    `public_outcome`: how the exchange's public clock call ended, None when it was not asked.
    """

    __tablename__ = "credential_checks"
    __table_args__ = (Index("ix_credential_checks_credential_id_started_at", "credential_id", "started_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code: Mapped[str] = mapped_column(String(32))
    told: Mapped[str] = mapped_column(Text)
    seen_ip: Mapped[str | None] = mapped_column(String(64))
    skew_seconds: Mapped[int | None] = mapped_column(Integer)
    grants: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    allowed_ips: Mapped[list[str] | None] = mapped_column(JSON)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    public_outcome: Mapped[str | None] = mapped_column(String(32))


class CredentialBalances(Base):
    """The newest balances of a credential as one JSON document, and the newest failure to fetch them."""

    __tablename__ = "credential_balances"

    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True)
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    document: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure_code: Mapped[str | None] = mapped_column(String(32))
