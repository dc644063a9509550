"""Tables of what processes share about calls: the next free place of each limit, rests, and turns of keys.

Moments are the database's own. Nothing here is worth a backup: emptied tables cost a moment of caution, no more.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime


class ExchangePlaces(Base):
    """One limit of an origin on a way out: from when on places are free. `path` names the limit."""

    __tablename__ = "exchange_places"

    way: Mapped[str] = mapped_column(String(64), primary_key=True)
    origin: Mapped[str] = mapped_column(String(255), primary_key=True)
    path: Mapped[str] = mapped_column(String(255), primary_key=True)
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ExchangeRest(Base):
    """An origin that fails on a way out; no row: all is well. `next_try_at` is None until it has failed often enough."""

    __tablename__ = "exchange_rests"

    way: Mapped[str] = mapped_column(String(64), primary_key=True)
    origin: Mapped[str] = mapped_column(String(255), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    failing_since: Mapped[datetime] = mapped_column(UtcDateTime)
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ExchangeTurn(Base):
    """Whose turn it is to use a key that allows one call at a time, until when, and the last number sent with it."""

    __tablename__ = "exchange_turns"

    key_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    held_until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_number: Mapped[int] = mapped_column(BigInteger)
