"""Tables of the vault itself: which key wrote, a canary per key, and the sealed fingerprint key."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime


class VaultInstance(Base):
    """One row: this database's random identity (part of every sealing context) and its sealed fingerprint key."""

    __tablename__ = "vault_instance"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint_kid: Mapped[str] = mapped_column(String(32))
    fingerprint_key_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class VaultCanary(Base):
    """A random value sealed under each root key when it is first used: proves at boot that the ring is the right one."""

    __tablename__ = "vault_canaries"

    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
