"""How often something may be tried: counted in the database, so that restarts and further servers change nothing.

A try is counted before it is judged, atomically and committed at once; it is given back when it succeeds. Only hashes of
what it was tried with are stored, so an address that has no account is counted like one that has.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import limits_repository as repository
from app.accounts.limits_repository import CountedTry, TrickleRow
from app.clock import Clock
from app.web.errors import Problem
from app.web.formats import write_count

MINUTE, HOUR, DAY = 60, 3600, 86400
_NETWORK_BITS = 64  # of an IPv6 address: what one subscriber is given


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so many tries in so many seconds from the first, for each combination of the named subjects."""

    subjects: tuple[str, ...]
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Trickle:
    """At most so many tries at once; then one more every so many seconds, for each combination of the named subjects.

    So a wait is never longer than `each`, and in any span of time there are at most `most` + span / `each` tries.
    """

    subjects: tuple[str, ...]
    most: int
    each: int


@dataclass(frozen=True, slots=True)
class Limit:
    """What is limited, and by which budgets: a try needs room in all of them."""

    name: str
    budgets: tuple[Budget | Trickle, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A try that was counted and may be made."""

    counted: tuple[CountedTry, ...]
    trickled: tuple[TrickleRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A try that must not be made; nothing was counted. The wait tells of the tries only, never of an account."""

    retry_after_seconds: int

    @property
    def wait(self) -> str:
        """The wait in words: whole minutes, or hours where it is long."""
        minutes = math.ceil(self.retry_after_seconds / MINUTE)
        return write_count(minutes, "minute") if minutes < 120 else write_count(math.ceil(minutes / 60), "hour")

    def as_problem(self) -> Problem:
        """Return the answer 429."""
        return Problem(
            "rate_limited",
            status=429,
            title="Too many tries",
            detail=f"Keydeck takes no further try for {self.wait}.",
            next_step=f"Wait {self.wait}, then try again.",
            extra={"retry_after_seconds": self.retry_after_seconds},
        )


class Limits:
    """Counts tries. `take` commits what it counted: call it before the first write of a unit of work."""

    def __init__(self, session: AsyncSession, *, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def take(self, limit: Limit, **subjects: str) -> Taken | Refused:
        """Count a try of every budget, or of none when one is used up. Rows read before are stale afterwards."""
        if self._session.new or self._session.dirty or self._session.deleted:
            raise RuntimeError("a try is counted before the first write, for it is committed at once")
        now, trickles = self._clock(), _list_trickles(limit, subjects)
        windows = [
            (hash_key(limit, budget, subjects), budget.most, now + timedelta(seconds=budget.seconds))
            for budget in limit.budgets
            if isinstance(budget, Budget)
        ]
        counted = await repository.count_tries(self._session, windows, now=now)
        trickled = await repository.count_trickles(self._session, trickles, now=now)
        if len(counted) == len(windows) and trickled == len(trickles):
            await repository.sweep(self._session, now=now)
            await self._session.commit()
            return Taken(tuple(sorted(counted, key=lambda one: one.key)), tuple(trickles))
        await self._session.rollback()
        waits = [end - now for end in await repository.list_full(self._session, [key for key, _, _ in windows], now=now)]
        waits += await repository.list_trickle_waits(self._session, trickles, now=now)
        await self._session.rollback()
        return Refused(max(1, math.ceil(max(waits, default=timedelta()).total_seconds())))

    async def demand(self, limit: Limit, **subjects: str) -> Taken:
        """Count a try as `take` does. Raises Problem (429) when it must not be made."""
        answer = await self.take(limit, **subjects)
        if isinstance(answer, Refused):
            raise answer.as_problem()
        return answer

    async def give_back(self, taken: Taken) -> None:
        """Uncount a try that succeeded, in the caller's transaction. Only its own: an attacker's stay counted."""
        for counted in taken.counted:
            await repository.uncount_try(self._session, counted)
        for row in taken.trickled:
            await repository.uncount_trickle(self._session, row)

    async def forget(self, limit: Limit, **subjects: str) -> None:
        """Forget all that was counted of a limit's trickles, in the caller's transaction: what was guessed at is no more."""
        await repository.forget_trickles(self._session, [row.key for row in _list_trickles(limit, subjects)])


def _list_trickles(limit: Limit, subjects: dict[str, str]) -> list[TrickleRow]:
    found = [budget for budget in limit.budgets if isinstance(budget, Trickle)]
    rows = [TrickleRow(hash_key(limit, budget, subjects), budget.most, budget.each * 1000) for budget in found]
    return sorted(rows, key=lambda row: row.key)


def hash_key(limit: Limit, budget: Budget | Trickle, subjects: dict[str, str]) -> str:
    """Return the row's key: a hash of what is limited, the pace, and the subjects' values."""
    parts = [limit.name, str(budget.seconds) if isinstance(budget, Budget) else f"each {budget.each}"]
    for name in budget.subjects:
        parts += [name, subjects[name]]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def group_address(ip: str) -> str:
    """Return what counts as one place on the network: an IPv4 address, or the /64 that an IPv6 address lies in."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((address, _NETWORK_BITS), strict=False))
    return str(address)
