"""How each exchange does as the outgoing calls see it: asked as ever, failing, or resting until the next try. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.exchanges.breaker import BreakerState
from app.exchanges.health import RestingSite, SiteHealth
from app.exchanges.types import Environment

CLOCK_NOTICE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ExchangeWeather:
    """One exchange over its sites and ways out. A rest is the whole instance's; calls are those of this process.

    `failing_since` is None while it answers; `next_try_at` while calls go out. `clock_ahead_seconds` is ours against theirs.
    """

    slug: str
    failing_since: datetime | None
    next_try_at: datetime | None
    calls_last_minute: int
    retries_last_minute: int
    clock_ahead_seconds: float | None
    resting_ways: tuple[str, ...] = ()

    @property
    def is_resting(self) -> bool:
        return self.next_try_at is not None

    @property
    def is_clock_off(self) -> bool:
        return self.clock_ahead_seconds is not None and abs(self.clock_ahead_seconds) > CLOCK_NOTICE_SECONDS


def judge_weather(slug: str, *, sites: Iterable[SiteHealth], resting: Iterable[RestingSite]) -> ExchangeWeather:
    """Return one exchange's weather. The exchange's own test site speaks only where nothing else does."""
    own = _prefer_live([site for site in sites if site.slug == slug])
    rests = [rest for rest in resting if rest.slug == slug and rest.environment is Environment.LIVE]
    broken = [site for site in own if site.state is not BreakerState.CLOSED]
    since = [rest.failing_since for rest in rests] + [site.failing_since for site in own if site.failing_since is not None]
    tries = [rest.next_try_at for rest in rests] + [site.next_try_at for site in broken if site.next_try_at is not None]
    return ExchangeWeather(
        slug=slug,
        failing_since=min(since, default=None),
        next_try_at=min(tries, default=None),
        calls_last_minute=sum(site.calls_last_minute for site in own),
        retries_last_minute=sum(site.retries_last_minute for site in own),
        clock_ahead_seconds=next((site.clock_ahead_seconds for site in own if site.clock_ahead_seconds is not None), None),
        resting_ways=tuple(sorted({rest.way for rest in rests} | {site.way for site in broken})),
    )


def _prefer_live(sites: Sequence[SiteHealth]) -> list[SiteHealth]:
    live = [site for site in sites if site.environment is Environment.LIVE]
    return live or list(sites)
