"""How each exchange does from this server, as pages show it: state, since when, next try, clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.exchanges.breaker import BreakerReading, BreakerState
from app.exchanges.http import OriginHealth
from app.exchanges.types import Environment, Site


@dataclass(frozen=True, slots=True)
class SiteHealth:
    """One site of an exchange, by one way out. `failing_since` is None while it answers; `next_try_at` while calls go out.

    `clock_ahead_seconds` is ours against theirs, None when not learned within the hour.
    """

    slug: str
    environment: Environment
    origin: str
    state: BreakerState
    failures: int
    failing_since: datetime | None
    next_try_at: datetime | None
    calls_last_minute: int
    retries_last_minute: int
    clock_ahead_seconds: float | None
    way: str = ""


@dataclass(frozen=True, slots=True)
class RestingSite:
    """A site that is not asked before `next_try_at`, because it has not answered since `failing_since`.

    From then on one question goes out, whoever asks it.
    """

    slug: str
    environment: Environment
    way: str
    failing_since: datetime
    next_try_at: datetime


def describe_rest(reading: BreakerReading, *, slug: str, environment: Environment, way: str, now: datetime) -> RestingSite | None:
    """Return the rest with its spans of seconds turned into moments; None while the site is asked as ever."""
    since, wait = reading.failing_for_seconds, reading.next_try_in_seconds
    if since is None or wait is None:
        return None
    return RestingSite(slug, environment, way, now - timedelta(seconds=since), now + timedelta(seconds=wait))


def describe_site(
    origin: OriginHealth, *, slug: str, site: Site, way: str, now: datetime, ahead_seconds: float | None
) -> SiteHealth:
    """Return a site's health, its spans of seconds turned into moments."""
    breaker = origin.breaker
    since, wait = breaker.failing_for_seconds, breaker.next_try_in_seconds
    return SiteHealth(
        slug=slug,
        environment=site.environment,
        origin=origin.origin,
        state=breaker.state,
        failures=breaker.failures,
        failing_since=None if since is None else now - timedelta(seconds=since),
        next_try_at=None if wait is None else now + timedelta(seconds=wait),
        calls_last_minute=origin.calls_last_minute,
        retries_last_minute=origin.retries_last_minute,
        clock_ahead_seconds=ahead_seconds,
        way=way,
    )
