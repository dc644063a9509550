"""The counts of calls that all processes on one PostgreSQL share: limits, rests and turns hold over all of them.

A process asks the database once for a small lot of places and hears at the same time whether the exchange rests.
When the database is out of reach nothing is asked of any exchange (docs/decisions/0017).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.db import Database
from app.exchanges.breaker import FAILURES_TO_OPEN, PROBE_EVERY_SECONDS, Admission, BreakerReading, BreakerState
from app.exchanges.errors import LimitsUnknown, NoWayOut, OutOfService, RateLimited, Resting, Unreachable
from app.exchanges.http import DEADLINE_SECONDS
from app.exchanges.traffic import Lane
from app.exchanges.turns import WAIT_CAP_SECONDS, Sleep
from app.exchanges.types import CallLimit
from app.identifiers import create_id
from app.traffic import repository
from app.traffic.places import Place, Places
from app.traffic.repository import LotRow, RestRow

ANSWER_SECONDS = 5.0
"""How long the database may take to answer before it counts as out of reach."""

_PROBE_HOLD_SECONDS = PROBE_EVERY_SECONDS + DEADLINE_SECONDS  # it may leave as late as that after it was taken
_HOLD_SECONDS = DEADLINE_SECONDS + 5.0  # a turn's holder that has not ended its call by then is gone
_FRESH_SECONDS = 1.0  # for so long what is known of a rest is not asked again
_POLL_SECONDS = (0.05, 0.25)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A rest as it was told, and when; `is_ours` while this process asks the one question."""

    row: RestRow
    told_at: float
    is_ours: bool = False

    def read(self, now: float) -> BreakerReading:
        passed = now - self.told_at
        failing_for = self.row.failing_for + passed
        if self.row.next_try_in is None:
            return BreakerReading(BreakerState.CLOSED, self.row.failures, failing_for, None)
        state = BreakerState.PROBING if self.is_ours else BreakerState.OPEN
        return BreakerReading(state, self.row.failures, failing_for, max(0.0, self.row.next_try_in - passed))


class SharedTraffic:
    """`Traffic` over all processes on one PostgreSQL."""

    def __init__(
        self, database: Database, *, monotonic: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._sleep = sleep
        self._holder = create_id("prc")
        self._places: dict[tuple[Lane, tuple[CallLimit, ...]], Places] = {}
        self._rests: dict[Lane, _Rest] = {}

    @asynccontextmanager
    async def admit(
        self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float
    ) -> AsyncIterator[Admission]:
        held_until = await self._enter(lane, call=call)
        admission = Admission(is_probe=held_until is not None)
        try:
            await self._wait_for_place(lane, limits=limits, call=call, within_seconds=within_seconds)
            if not admission.is_probe:
                self._refuse_at_rest(lane, call=call)
            yield admission
        except (Unreachable, OutOfService, NoWayOut):
            await self._note_failure(lane, is_probe=admission.is_probe)
            raise
        except BaseException:
            if held_until is not None:
                wait = PROBE_EVERY_SECONDS if admission.is_sent else 0.0
                await self._give_probe_back(lane, held_until=held_until, wait=wait)
            raise
        if admission.status is not None and admission.status < 500:
            await self._note_answer(lane)
        else:
            await self._note_failure(lane, is_probe=admission.is_probe)

    def read(self, lane: Lane) -> BreakerReading:
        rest = self._rests.get(lane)
        return BreakerReading(BreakerState.CLOSED, 0, None, None) if rest is None else rest.read(self._monotonic())

    async def list_rests(self) -> Mapping[Lane, BreakerReading]:
        await self._learn_rests()
        return {lane: self.read(lane) for lane in self._rests}

    async def take_turn(self, key_id: str) -> int:
        while True:
            number, wait = await self._ask(repository.take_turn, key_id=key_id, holder=self._holder, hold=_HOLD_SECONDS)
            if number is not None:
                return int(number)
            await self._sleep(min(max(wait, _POLL_SECONDS[0]), _POLL_SECONDS[1]))

    async def end_turn(self, key_id: str, *, last_number: int, gap_seconds: float) -> None:
        await self._tell(repository.end_turn, key_id=key_id, holder=self._holder, last_number=last_number, gap=gap_seconds)

    async def forget_old(self) -> None:
        """Drop what nobody needs any more."""
        await self._tell(repository.forget_turns)

    async def _enter(self, lane: Lane, *, call: str) -> datetime | None:
        """Return until when the one question of a resting lane is ours; None for any other call.

        Raises Resting when the call may not go out.
        """
        rest = self._rests.get(lane)
        if rest is None or rest.row.next_try_in is None:
            return None
        if self._monotonic() - rest.told_at < _FRESH_SECONDS:
            self._refuse_at_rest(lane, call=call)
        await self._learn_rests()
        self._refuse_at_rest(lane, call=call)
        if lane not in self._rests:
            return None
        known = self._rests[lane].row
        held_until: datetime | None = await self._ask(
            repository.claim_probe, way=lane.way, origin=lane.origin, hold=_PROBE_HOLD_SECONDS
        )
        if held_until is None:
            await self._learn_rests()
            self._refuse_at_rest(lane, call=call)
            return None
        self._rests[lane] = _Rest(replace(known, next_try_in=_PROBE_HOLD_SECONDS), self._monotonic(), is_ours=True)
        return held_until

    def _refuse_at_rest(self, lane: Lane, *, call: str) -> None:
        reading = self.read(lane)
        if reading.next_try_in_seconds:
            since = reading.failing_for_seconds or 0.0
            raise Resting(call=call, failing_for_seconds=since, retry_after_seconds=reading.next_try_in_seconds)

    async def _wait_for_place(self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float) -> None:
        """Take a place that all these limits allow, and wait for it. Raises RateLimited when it is too far away."""
        if not limits:
            return
        latest_at = self._monotonic() + min(within_seconds, WAIT_CAP_SECONDS)
        places = self._places.setdefault((lane, tuple(limits)), Places(tuple(limits), self._monotonic))
        while True:
            places.waiting += 1
            try:
                place = await self._take_place(lane, places, latest_at=latest_at, call=call)
            finally:
                places.waiting -= 1
            wait = place.opens_at - self._monotonic()
            if wait > 0:
                await self._sleep(wait)
            if self._monotonic() <= place.gone_at:
                return

    async def _take_place(self, lane: Lane, places: Places, *, latest_at: float, call: str) -> Place:
        while (place := places.take()) is None:
            async with places.line:
                if (place := places.take()) is not None:
                    break
                await self._fetch_lot(lane, places, latest_at=latest_at, call=call)
        return place

    async def _fetch_lot(self, lane: Lane, places: Places, *, latest_at: float, call: str) -> None:
        """Ask the database for the next places. Raises RateLimited when they are too far away to wait for."""
        count = places.count_wanted()
        asked_at = self._monotonic()
        row: LotRow = await self._ask(
            repository.take_places,
            way=lane.way,
            origin=lane.origin,
            paths=sorted(f"{limit.calls}/{limit.seconds:g} {limit.path}" for limit in places.limits),
            width=count * places.spacing_seconds,
            within=max(0.0, latest_at - asked_at),
        )
        told_at = self._monotonic()
        self._note_rest(lane, row.rest)
        if not row.is_taken:
            raise RateLimited(call=call, retry_after_seconds=max(row.opens_in, 0.001))
        places.add_lot(count, first_in=row.opens_in, asked_at=asked_at, told_at=told_at)

    async def _note_answer(self, lane: Lane) -> None:
        if self._rests.pop(lane, None) is not None:
            await self._tell(repository.end_rest, way=lane.way, origin=lane.origin)

    async def _note_failure(self, lane: Lane, *, is_probe: bool) -> None:
        row = await self._tell(
            repository.note_failure,
            way=lane.way,
            origin=lane.origin,
            is_probe=is_probe,
            most=FAILURES_TO_OPEN,
            every=PROBE_EVERY_SECONDS,
        )
        self._note_rest(lane, row)

    async def _give_probe_back(self, lane: Lane, *, held_until: datetime, wait: float) -> None:
        if (rest := self._rests.get(lane)) is not None:
            self._rests[lane] = replace(rest, is_ours=False)
        await self._tell(repository.give_probe_back, way=lane.way, origin=lane.origin, held_until=held_until, wait=wait)
        with suppress(LimitsUnknown):  # what ended the question is what counts
            await self._learn_rests()

    def _note_rest(self, lane: Lane, row: RestRow | None) -> None:
        if row is not None:
            self._rests[lane] = _Rest(row, self._monotonic())
        elif lane in self._rests and not self._rests[lane].is_ours:
            del self._rests[lane]

    async def _learn_rests(self) -> None:
        rows = await self._ask(repository.list_rests)
        now = self._monotonic()
        self._rests = {Lane(way, origin): _Rest(row, now) for (way, origin), row in rows.items()}

    async def _ask(self, question: Callable[..., Awaitable[Any]], **values: Any) -> Any:
        """Ask the database, in a statement of its own. Raises LimitsUnknown when it does not answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._database.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                return await question(connection, **values)
        except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
            reason = type(error).__name__
        # logged by type and raised out here: the driver's text may name the database's address
        _log.error("the shared counts of calls are out of reach: %s", reason)
        raise LimitsUnknown

    async def _tell(self, statement: Callable[..., Awaitable[Any]], **values: Any) -> Any:
        """Write to the database; what cannot be written is lost, and ends by itself."""
        try:
            return await self._ask(statement, **values)
        except LimitsUnknown:
            return None
