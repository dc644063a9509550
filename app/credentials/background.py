"""The server's own checks, in batches: what is due at each site, claimed, asked side by side, stored in one transaction.

Any number of processes may do this on one database. How many keys of a site are asked at once follows from the limits
of its exchange: more would only wait in line and be refused by ourselves.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.clock import Clock
from app.credentials.batch_repository import list_sealed_for_worker
from app.credentials.questions import Answer, Question, Questions, ask_exchange, make_claim
from app.credentials.schedule import BACK_OFF_SECONDS, DEAD_SECONDS, SCHEDULED, Schedule
from app.credentials.schedule_repository import ANY_WAY, ClaimedCheck, Duty, Ways
from app.credentials.unasked import OURS, Reason, Unasked, find_unasked, is_in_time
from app.db import Database
from app.exchanges.registry import Exchanges
from app.exchanges.types import Environment, Exchange
from app.settings import Settings
from app.vault.envelope import Vault
from app.web.errors import Problem

BATCH_SIZE = 16
PLACES = 64
"""Keys of a site asked at once where no limit says less."""
AHEAD_SECONDS = 1.0
"""Keys asked at once may fill a limit for so long: some ask several things at a time, and a wait of 3 seconds is refused."""
FRESH = timedelta(seconds=30)
PROBE = "probe"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A question that could not be prepared, asked or answered, and how long its credential waits."""

    claim: ClaimedCheck
    seconds: float


class BackgroundChecks:
    """Finds, claims and does what is due, each part in a unit of work of its own."""

    def __init__(self, database: Database, *, vault: Vault, exchanges: Exchanges, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._exchanges = exchanges
        self._clock = clock
        self._parts: dict[str, Any] = {"vault": vault, "exchanges": exchanges, "settings": settings, "clock": clock}
        self.put_off: dict[Reason, int] = dict.fromkeys(Reason, 0)
        """How many checks this process has put off because nobody was asked, by why."""

    async def list_subjects(self) -> list[str]:
        """Return a subject for each batch that may run now: exchange/environment/number, or …/probe/way where it rests."""
        async with self._database.read() as session:
            due = await Schedule(session, clock=self._clock).list_due(most=PLACES * len(self._exchanges.ways))
        subjects: list[str] = []
        for site in due:
            resting, probing = await self._find_rests(site.exchange, site.environment)
            here = f"{site.exchange}/{site.environment}"
            subjects += [f"{here}/{PROBE}/{way}" for way in probing]
            if len(resting) < len(self._exchanges.ways):
                size, most = self._measure(site.exchange, site.environment)
                subjects += [f"{here}/{number}" for number in range(min(most, -(-site.count // size)))]
        return subjects

    async def claim(self, subject: str) -> list[ClaimedCheck]:
        """Claim a batch for a subject; nothing when others have done it all by now."""
        exchange, environment, number, *way = subject.split("/", 3)
        limit, ways = self._measure(exchange, environment)[0], ANY_WAY
        resting, probing = await self._find_rests(exchange, environment)
        if number == PROBE:
            limit, ways = 1, Ways(only=self._name_ways([name for name in way if name in probing]))
        elif resting:
            ways = Ways(without=self._name_ways(resting))
        if ways.only == []:  # the probe was made meanwhile
            return []
        async with self._database.write() as session:
            return await Schedule(session, clock=self._clock).claim(exchange, environment, limit=limit, ways=ways)

    async def run(self, claims: Sequence[ClaimedCheck]) -> None:
        """Ask for all claims side by side and store what came back. What goes wrong with one stops no other."""
        prepared = await self._prepare(await self._keep_fresh(claims))
        answers = await asyncio.gather(*[self._ask(question) for question in prepared if isinstance(question, Question)])
        await self._store(answers, [entry for entry in prepared if isinstance(entry, _Failed)])

    async def give_back(self, claims: Sequence[ClaimedCheck]) -> None:
        """Make claims due again at once: their checks were not made."""
        async with self._database.write() as session:
            for claim in claims:
                await Schedule(session, clock=self._clock).give_back(claim)

    async def _keep_fresh(self, claims: Sequence[ClaimedCheck]) -> list[ClaimedCheck]:
        """Take up what a killed process left, and leave alone what somebody else may be at."""
        now = self._clock()
        fresh = [claim for claim in claims if now - claim.marked_at < FRESH]
        old = [claim for claim in claims if claim not in fresh]
        if old:
            async with self._database.write() as session:
                fresh += await Schedule(session, clock=self._clock).retake(old)
        return fresh

    async def _prepare(self, claims: Sequence[ClaimedCheck]) -> list[Question | _Failed]:
        prepared: list[Question | _Failed] = []
        async with self._database.read() as session:
            questions = Questions(session, **self._parts)
            found = await list_sealed_for_worker(session, [claim.credential_id for claim in claims])
            for claim in claims:
                row, sealed = found.get(claim.credential_id, (None, None))
                if row is None or row.checking_since != claim.marked_at:
                    continue
                try:
                    prepared.append(
                        await questions.prepare(row, duty=claim.duty, marked_at=claim.marked_at, reason=SCHEDULED, sealed=sealed)
                    )
                except Problem as problem:
                    _log.info("credential %s was not checked: %s", claim.credential_id, problem.code)
                    prepared.append(_Failed(claim, DEAD_SECONDS))
        return prepared

    async def _ask(self, question: Question) -> tuple[Question, Answer | _Failed | None]:
        try:
            answer = await ask_exchange(question, exchanges=self._exchanges, clock=self._clock)
            unasked = find_unasked(answer)
            return question, answer if unasked is None else self._note_unasked(question, unasked)
        except Exception as error:  # noqa: BLE001  # logged by type: a text could hold a secret
            return question, self._note_failure(question, error)

    async def _store(self, answers: Sequence[tuple[Question, Answer | _Failed | None]], failed: Sequence[_Failed]) -> None:
        """Store a batch in one transaction; where that fails, each result in one of its own, so that one spoils no other."""
        failed = [*failed, *[answer for _, answer in answers if isinstance(answer, _Failed)]]
        good = [(question, answer) for question, answer in answers if not isinstance(answer, _Failed)]
        try:
            await self._store_together(good)
        except Exception as error:  # noqa: BLE001  # the same
            _log.warning("a batch is stored one by one: %s", type(error).__name__)
            for question, answer in good:
                try:
                    await self._store_together([(question, answer)])
                except Exception as single:  # noqa: BLE001  # the same
                    failed.append(self._note_failure(question, single))
        if failed:
            async with self._database.write() as session:
                for entry in failed:
                    await Schedule(session, clock=self._clock).put_off(entry.claim, seconds=entry.seconds)

    async def _store_together(self, answers: Sequence[tuple[Question, Answer | None]]) -> None:
        async with self._database.write() as session:
            questions = Questions(session, **self._parts)
            questions.books.held = []
            now = self._clock()
            in_time = [(question, answer) for question, answer in answers if is_in_time(question, now=now)]
            for question, answer in await questions.store_refreshes(in_time):
                await questions.store(question, answer)
            await questions.books.tell_held()

    def _note_unasked(self, question: Question, unasked: Unasked) -> _Failed:
        self.put_off[unasked.reason] += 1
        if unasked.reason in OURS:
            _log.warning("the check of credential %s is put off: %s", question.row.id, unasked.reason)
        return _Failed(make_claim(question), unasked.seconds)

    def _note_failure(self, question: Question, error: Exception) -> _Failed:
        _log.error("the check of credential %s failed: %s", question.row.id, type(error).__name__)
        return _Failed(make_claim(question), BACK_OFF_SECONDS[-1])

    async def _find_rests(self, exchange: str, environment: str) -> tuple[list[str], list[str]]:
        """Return the ways out by which the site rests, and those of them whose next question is due."""
        now = self._clock()
        rests = [
            rest for rest in await self._exchanges.list_resting() if (rest.slug, rest.environment) == (exchange, environment)
        ]
        return [rest.way for rest in rests], [rest.way for rest in rests if rest.next_try_at <= now]

    def _name_ways(self, ways: Sequence[str]) -> list[str | None]:
        """Return the ways as credentials name them: those that have not chosen use the default one."""
        return [*ways, *([None] if self._exchanges.ways[0] in ways else [])]

    def _measure(self, slug: str, environment: str) -> tuple[int, int]:
        """Return how many keys a batch of the site holds, and how many of them run at once over all processes."""
        exchange = self._exchanges.get(slug)
        places = PLACES
        if exchange is not None and environment != Environment.SANDBOX:
            places = count_places(exchange) * len(self._exchanges.ways)
        size = min(BATCH_SIZE, places)
        return size, max(1, places // size)


def count_places(exchange: Exchange) -> int:
    """Return how many keys may be asked at once by one way out, so that none waits long for its place below the limits."""
    rates = [limit.calls / limit.seconds for limit in exchange.host_limits]
    return max(2, min(PLACES, int(min(rates) * AHEAD_SECONDS))) if rates else PLACES


def read_claim(text: str) -> ClaimedCheck:
    credential_id, user_id, duty, marked_at = text.split(" ")
    return ClaimedCheck(credential_id, user_id, datetime.fromisoformat(marked_at), Duty(duty))


def write_claim(claim: ClaimedCheck) -> str:
    """Return a claim as a job's argument: ids, a moment and a word."""
    return f"{claim.credential_id} {claim.user_id} {claim.duty.value} {claim.marked_at.isoformat()}"
