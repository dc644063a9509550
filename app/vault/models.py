"""Tables of the vault itself: which key wrote, a canary per key, the sealed fingerprint key, and sealed values of our own."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime


class VaultInstance(Base):
    """One row: this database's random identity (part of every sealing context) and its sealed fingerprint key.

    `slot` is always 1 and unique, so that two processes starting on a new database cannot each make an identity.
    """

    __tablename__ = "vault_instance"
    __table_args__ = (CheckConstraint("slot = 1", name="only_one"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    slot: Mapped[int] = mapped_column(Integer, unique=True)
    fingerprint_kid: Mapped[str] = mapped_column(String(32))
    fingerprint_key_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class VaultCanary(Base):
    """A random value sealed under each root key when it is first used: proves at boot that the ring is the right one.

    `check_value` is the key's own (8 hex characters): it tells the operator which key to look for when the ring is wrong.
    """

    __tablename__ = "vault_canaries"

    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    check_value: Mapped[str] = mapped_column(String(8))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SealedValue(Base):
    """A secret of Keydeck's own, such as a second factor or a channel's address, sealed as credentials are.

    `owner_id` is whose it is; with the person it goes. None: the installation's.
    """

    __tablename__ = "sealed_values"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(32))
    kid: Mapped[str] = mapped_column(String(32), index=True)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
