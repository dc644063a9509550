"""Gathers the evidence for verdicts: how other keys fared lately, what rests, how far the clocks are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials import comparison_repository
from app.credentials.comparison_repository import SampledKey
from app.credentials.verdict import WEIGHED, Blame, Evidence, count_others, weigh
from app.exchanges.breaker import BreakerState
from app.exchanges.registry import Exchanges
from app.exchanges.types import Environment, Exchange
from app.settings import Settings

SAMPLE = 50
_SHORTEST_WINDOW = timedelta(minutes=30)
_SAME_TIME = timedelta(minutes=10)
_SILENT = frozenset({"unreachable", "no_way_out"})
Place = tuple[str, str]  # exchange and environment


@dataclass(frozen=True, slots=True)
class Case:
    """A failed check that wants a verdict. `credential_id` is empty for a key that is not stored."""

    credential_id: str
    exchange: Exchange
    environment: str
    code: str
    public_outcome: str | None
    way: str | None = None

    @property
    def place(self) -> Place:
        return self.exchange.slug, self.environment


class Weighing:
    """Verdicts within one unit of work. Reads only."""

    def __init__(self, session: AsyncSession, *, exchanges: Exchanges, settings: Settings, clock: Clock) -> None:
        self._session = session
        self._exchanges = exchanges
        self._settings = settings
        self._clock = clock

    async def weigh(self, cases: Sequence[Case]) -> dict[str, Blame]:
        """Return the verdicts by credential; one question to the database, none when no check has failed."""
        failed = [case for case in cases if case.code in WEIGHED]
        if not failed:
            return {}
        samples = await self._sample(failed)
        found = {case.credential_id: weigh(self._collect(case, samples), exchange=case.exchange) for case in failed}
        return {credential_id: blame for credential_id, blame in found.items() if blame is not None}

    async def _sample(self, cases: Sequence[Case]) -> Mapping[Place, list[SampledKey]]:
        places = {case.place for case in cases}
        if any(case.code in _SILENT for case in cases):
            places |= {
                (exchange.slug, environment.value)
                for exchange in self._exchanges.list_all()
                for environment in self._exchanges.list_environments(exchange.slug)
                if environment is not Environment.SANDBOX
            }
        window = max(_SHORTEST_WINDOW, timedelta(seconds=2 * self._settings.check_interval_seconds))
        since = self._clock() - window
        return await comparison_repository.sample_keys_for_operations(self._session, sorted(places), since=since, limit=SAMPLE)

    def _collect(self, case: Case, samples: Mapping[Place, list[SampledKey]]) -> Evidence:
        codes = [key.code for key in samples.get(case.place, ()) if key.id != case.credential_id]
        lately = self._clock() - _SAME_TIME
        elsewhere = [
            key.code
            for (slug, environment), keys in samples.items()
            for key in keys
            if slug != case.exchange.slug and environment != Environment.SANDBOX and key.checked_at >= lately
        ]
        silent = sum(code in _SILENT for code in elsewhere)
        is_resting, ahead = self._read_health(case)
        return Evidence(
            code=case.code,
            public_outcome=case.public_outcome,
            others=count_others(case.code, codes),
            answering=len(elsewhere) - silent,
            silent=silent,
            is_resting=is_resting,
            clock_ahead_seconds=ahead,
        )

    def _read_health(self, case: Case) -> tuple[bool, float | None]:
        way = case.way or self._exchanges.ways[0]
        for site in self._exchanges.describe_health():
            if (site.slug, site.environment.value, site.way) == (*case.place, way):
                return site.state is not BreakerState.CLOSED, site.clock_ahead_seconds
        return False, None
