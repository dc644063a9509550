"""How the ways out do: what they are set to be seen as, how many keys use each, and what exchanges really saw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.exchanges.ways import DIRECT, WayOut
from app.operations import ways_repository
from app.operations.ways_repository import SeenAddress

SEEN_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WayUse:
    """One way out. `unexpected` are addresses that exchanges saw of it though the setting does not name them."""

    way: WayOut
    credentials: int
    unexpected: tuple[SeenAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class WaysOverview:
    """All ways out, and how many keys are on ways that are gone: they move with their next check."""

    ways: tuple[WayUse, ...]
    moving: int

    @property
    def unexpected(self) -> tuple[tuple[WayOut, SeenAddress], ...]:
        return tuple((use.way, seen) for use in self.ways for seen in use.unexpected)


async def examine_ways(session: AsyncSession, ways: Sequence[WayOut], *, clock: Clock) -> WaysOverview:
    """Return the overview of the ways out."""
    used = await ways_repository.count_by_way(session)
    seen = await ways_repository.list_seen_addresses(session, since=clock() - SEEN_FOR)
    return describe_ways(ways, used=used, seen=seen)


def describe_ways(ways: Sequence[WayOut], *, used: Mapping[str | None, int], seen: Iterable[SeenAddress]) -> WaysOverview:
    """Join the setting with what is stored. Keys that name no way are on the direct one."""
    told = list(seen)
    names = {way.name for way in ways}
    uses = tuple(
        WayUse(
            way,
            sum(count for name, count in used.items() if (name or DIRECT) == way.name),
            tuple(one for one in told if (one.way or DIRECT) == way.name and one.address not in way.addresses),
        )
        for way in ways
    )
    return WaysOverview(uses, sum(count for name, count in used.items() if (name or DIRECT) not in names))
