"""Tables of tries at the ways in, of what keeps a person's own way open, and of one-time links that reset."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime


class AttemptCount(Base):
    """How many tries were made of one budget since its window began. `key` is a hash: no address and no name is kept."""

    __tablename__ = "attempt_counts"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    tries: Mapped[int]
    most: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class AttemptTrickle(Base):
    """Tries that come back one by one: `most` at once, one more every `step`; `empty_at` is when the last has come back.

    Times are milliseconds (since 1970), because both databases reckon with whole numbers alike. `key` is a hash as above.
    """

    __tablename__ = "attempt_trickles"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    most: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    empty_at: Mapped[int] = mapped_column(BigInteger, index=True)


class FamiliarPlace(Base):
    """A browser (`device`) or network (`address`) that signed in to this account before; `mark` is a hash."""

    __tablename__ = "familiar_places"
    __table_args__ = (UniqueConstraint("user_id", "mark"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    mark: Mapped[str] = mapped_column(String(64))
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ResetLink(Base):
    """A one-time link that lets a person choose a new password, or part from lost factors; `kind` says which.

    `way` is how it was handed out: `mail`, `operator` or `command`. An operator's that was used stays until the person signs
    in by password, however long that takes: the rule that no operator gets both kinds of a person's links rests on it.
    """

    __tablename__ = "reset_links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    way: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
