"""What the operations page shows: exchanges as calls and the last hour's checks see them, problems, queue, and the key ring."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.credentials.problems import find_words, tell_operator
from app.credentials.verdict import sum_up
from app.exchanges.errors import list_leaves
from app.exchanges.health import RestingSite, SiteHealth
from app.exchanges.types import Exchange
from app.operations import repository
from app.operations.repository import CheckCount, CredentialCount, DueCount
from app.operations.weather import ExchangeWeather, judge_weather
from app.vault.keyring import KeyLine

SEEN_FOR = timedelta(hours=1)
_NO_PROBLEM = frozenset({"ok", "paused", "unchecked"})
_WHO_ACTS = {leaf.code: leaf.who_acts for leaf in list_leaves()}


class Outlook(StrEnum):
    """How an exchange looks from the newest checks."""

    NORMAL = "normal"
    NOT_ANSWERING = "not_answering"
    OUR_FAULT = "our_fault"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class ExchangeHealth:
    """One exchange over the last hour: how its checks ended, sorted by who must act."""

    exchange: Exchange
    credentials: int
    checks: int
    answered: int
    unavailable: int
    ours: int
    codes: tuple[CheckCount, ...]
    newest_at: datetime | None
    outlook: Outlook
    weather: ExchangeWeather | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class PresentProblem:
    """A problem that credentials of one exchange have now: how many, whose it is, and what it means for the server."""

    exchange: str
    code: str
    count: int
    who_acts: str
    words: str


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One root key of the ring, and how many credentials are sealed with it."""

    line: KeyLine
    credentials: int


@dataclass(frozen=True, slots=True)
class Overview:
    exchanges: tuple[ExchangeHealth, ...]
    keys: tuple[KeyUse, ...]
    lost_kids: Mapping[str, int]
    due: DueCount
    credentials: int
    standing: Mapping[str, int]
    problems: tuple[PresentProblem, ...]


class Operations:
    """Reads over all users, in counts only."""

    def __init__(self, session: AsyncSession, *, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def describe(
        self,
        exchanges: Sequence[Exchange],
        *,
        keys: Sequence[KeyLine],
        sites: Sequence[SiteHealth] = (),
        resting: Sequence[RestingSite] = (),
    ) -> Overview:
        """Return the overview for the exchanges on offer and the keys of the ring, with how calls to the sites do."""
        checks = await repository.count_checks(self._session, since=self._clock() - SEEN_FOR)
        stored = await repository.count_credentials(self._session)
        by_kid = await repository.count_secrets_by_kid(self._session)
        known = {line.kid for line in keys}
        standing: dict[str, int] = {}
        for row in stored:
            standing[row.code] = standing.get(row.code, 0) + row.count
        return Overview(
            exchanges=tuple(
                judge_exchange(
                    exchange,
                    [row for row in checks if row.exchange == exchange.slug],
                    credentials=sum(row.count for row in stored if row.exchange == exchange.slug),
                    weather=judge_weather(exchange.slug, sites=sites, resting=resting),
                    verdict=sum_up({row.code: row.count for row in stored if row.exchange == exchange.slug}),
                )
                for exchange in exchanges
            ),
            keys=tuple(KeyUse(line, by_kid.get(line.kid, 0)) for line in keys),
            due=await repository.count_due(self._session, now=self._clock()),
            lost_kids={kid: count for kid, count in by_kid.items() if kid not in known},
            credentials=sum(row.count for row in stored),
            standing=standing,
            problems=list_problems(stored),
        )


def list_problems(stored: Iterable[CredentialCount]) -> tuple[PresentProblem, ...]:
    """Return the problems credentials have now: the operator's own first, then by how many they meet."""
    found = [
        PresentProblem(row.exchange, row.code, row.count, find_words(row.code).who_acts, tell_operator(row.code))
        for row in stored
        if row.code not in _NO_PROBLEM
    ]
    return tuple(sorted(found, key=lambda one: (one.who_acts != "operator", -one.count, one.exchange, one.code)))


def judge_exchange(
    exchange: Exchange,
    rows: Sequence[CheckCount],
    *,
    credentials: int,
    weather: ExchangeWeather | None = None,
    verdict: str = "",
) -> ExchangeHealth:
    """Return how an exchange looks. An answer that refuses a key is an answer: the exchange works."""
    unavailable = [row for row in rows if _WHO_ACTS.get(row.code) in ("nobody", "exchange")]
    ours = [row for row in rows if _WHO_ACTS.get(row.code) == "operator" or row.code == "internal"]
    answered = [row for row in rows if row not in unavailable and row not in ours]
    return ExchangeHealth(
        exchange=exchange,
        credentials=credentials,
        checks=_count(rows),
        answered=_count(answered),
        unavailable=_count(unavailable),
        ours=_count(ours),
        codes=tuple(sorted(rows, key=lambda row: (-row.count, row.code))),
        newest_at=max((row.newest_at for row in rows), default=None),
        outlook=_judge_outlook(answered, unavailable=unavailable, ours=ours),
        weather=weather,
        verdict=verdict,
    )


def _judge_outlook(answered: Sequence[CheckCount], *, unavailable: Sequence[CheckCount], ours: Sequence[CheckCount]) -> Outlook:
    """Let the newest check speak: an exchange that came back is normal again at once."""
    newest = max((row.newest_at for row in (*answered, *unavailable, *ours)), default=None)
    if newest is None:
        return Outlook.QUIET
    if any(row.newest_at == newest for row in answered):
        return Outlook.NORMAL
    return Outlook.OUR_FAULT if any(row.newest_at == newest for row in ours) else Outlook.NOT_ANSWERING


def _count(rows: Iterable[CheckCount]) -> int:
    return sum(row.count for row in rows)
