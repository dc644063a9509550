"""One open page's stream: what changed since a moment, then each change as it is committed, and a beat while nothing is.

An event's id is the moment up to which the stream is complete, so a page that comes back misses nothing. Reading goes
back a little further than that: a transaction may be committed a while after it noted its changes. A page may therefore
hear of a change twice, and loses nothing by it: an event tells where to look, not what to show.

What even that misses, such as a change committed very late or by a machine whose clock is off, is made good every few
minutes: the page then looks at everything again.
"""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fastapi.sse import ServerSentEvent
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.db import Database
from app.live import repository
from app.live.changes import ChangeKind
from app.live.hub import Hub, Seat
from app.live.listening import KEPT_FOR
from app.live.repository import ChangeRow

OVERLAP = timedelta(seconds=75)
"""Clocks of machines that share a database may be a minute apart; the rest is for transactions that end late."""
RENEWED_EVERY = timedelta(minutes=5)
LASTS_FOR = timedelta(minutes=30)
BEAT_SECONDS = 10.0
GATHER_SECONDS = 0.2
RETRY_MS = 2000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream runs: its seat in the hub, and what it reads with. `gather_seconds` lets a burst become one reading."""

    hub: Hub
    seat: Seat
    database: Database
    clock: Clock
    beat_seconds: float = BEAT_SECONDS
    gather_seconds: float = GATHER_SECONDS


@dataclass(slots=True)
class _Reader:
    """What a stream has told already, by row number, for as long as reading may meet the row again."""

    told: dict[int, datetime] = field(default_factory=dict)

    def pick_new(self, rows: Sequence[ChangeRow], *, since: datetime) -> list[ChangeRow]:
        """Return the rows not told yet, the newest of each credential only; what is gone stays gone."""
        self.told = {number: at for number, at in self.told.items() if at >= since}
        newest: dict[str, ChangeRow] = {}
        for row in rows:
            if row.id in self.told:
                continue
            self.told[row.id] = row.at
            key = row.credential_id or row.kind
            if key not in newest or newest[key].kind != ChangeKind.GONE:
                newest[key] = row
        return list(newest.values())


async def follow(
    place: Place, *, after: datetime, is_allowed: Callable[[AsyncSession], Awaitable[bool]]
) -> AsyncIterator[ServerSentEvent]:
    """Yield events until the page leaves, the server stops, the person may not look any more, or half an hour is over.

    `beat` (at) comes first and whenever all is quiet, `change` (credential, kind) tells of one credential, `reset` that
    everything is to be looked at again, because too much was missed to tell singly or it is time to, `ended` that the
    sign-in is over. No transaction is open while it waits.
    """
    reader, begun_at, up_to = _Reader(), place.clock(), after
    renewal = _count_renewals(after, user_id=place.seat.user_id)
    if after < begun_at - KEPT_FOR + OVERLAP:
        up_to, renewal = begun_at, _count_renewals(begun_at, user_id=place.seat.user_id)
        yield ServerSentEvent(event="reset", data={}, id=write_moment(begun_at))
    is_first = True
    while not place.hub.is_stopping and place.clock() - begun_at < LASTS_FOR:
        now, since = place.clock(), up_to - OVERLAP
        rows = await _read(place, since=since, is_allowed=is_allowed)
        if rows is None:
            return
        if isinstance(rows, _Ended):
            yield ServerSentEvent(event="ended", data={})
            return
        news = reader.pick_new(rows, since=since)
        for row in news:
            data = {"credential": row.credential_id, "kind": row.kind}
            yield ServerSentEvent(event="change", data=data, id=write_moment(now))
        if renewal != (renewal := _count_renewals(now, user_id=place.seat.user_id)):
            yield ServerSentEvent(event="reset", data={}, id=write_moment(now))
        if is_first or not news:
            retry = RETRY_MS if is_first else None
            yield ServerSentEvent(event="beat", data={"at": now.isoformat()}, id=write_moment(now), retry=retry)
        up_to, is_first = now, False
        if await place.seat.wait(place.beat_seconds) and not place.hub.is_stopping:
            await asyncio.sleep(place.gather_seconds)


def _count_renewals(moment: datetime, *, user_id: str) -> int:
    """Return how many times it was time, by a moment, to look at everything again: reckoned alike by every server.

    So a page whose streams are all short still has its turn. People have theirs at different moments.
    """
    seconds = round(RENEWED_EVERY.total_seconds())
    return (int(moment.timestamp()) + zlib.crc32(user_id.encode()) % seconds) // seconds


class _Ended:
    """The sign-in that opened the stream is over."""


async def _read(
    place: Place, *, since: datetime, is_allowed: Callable[[AsyncSession], Awaitable[bool]]
) -> Sequence[ChangeRow] | _Ended | None:
    """Return the changes since a moment, in one short transaction; None when the database does not answer."""
    try:
        async with place.database.read() as session:
            if not await is_allowed(session):
                return _Ended()
            return await repository.list_changes(session, user_id=place.seat.user_id, since=since)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("a stream ended: the database did not answer (%s)", type(error).__name__)
        return None


def write_moment(moment: datetime) -> str:
    """Return a moment as an event's id: milliseconds."""
    return str(round(moment.timestamp() * 1000))


def parse_moment(text: str | None, *, now: datetime) -> datetime:
    """Return the moment an event's id stands for; now, for a text that is none, and never later than now."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 14:
        return now
    return min(now, datetime.fromtimestamp(int(text) / 1000, UTC))
