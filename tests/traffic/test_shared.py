"""What several processes on one PostgreSQL share: no limit is exceeded, one question at a resting exchange, one turn per key."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from app.db import Database
from app.exchanges.breaker import FAILURES_TO_OPEN, BreakerState
from app.exchanges.errors import LimitsUnknown, RateLimited, Resting, Unreachable
from app.exchanges.traffic import Lane
from app.exchanges.types import CallLimit
from app.masking import Secret
from app.traffic.places import Places
from app.traffic.service import SharedTraffic

pytestmark = pytest.mark.postgresql
LANE = Lane("", "https://api.example.org")
CALL = "GET /"


async def ask(
    traffic: SharedTraffic, *limits: CallLimit, lane: Lane = LANE, status: int | None = 200, within_seconds: float = 3
) -> float:
    """Make one call that ends with this status (None: no answer), and return when it left."""
    async with traffic.admit(lane, limits=limits, call=CALL, within_seconds=within_seconds) as admission:
        left_at = time.monotonic()
        if status is None:
            raise Unreachable(call=CALL)
        admission.status = status
    return left_at


async def fail(traffic: SharedTraffic, *, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        with pytest.raises(Unreachable):
            await ask(traffic, status=None)


async def advance(database: Database, *, seconds: float) -> None:
    """Let the rests lie so much longer in the past."""
    async with database.write() as session:
        await session.execute(
            text("UPDATE exchange_rests SET next_try_at = next_try_at - CAST(:s AS float8) * interval '1 second'"), {"s": seconds}
        )


def count_most(moments: Sequence[float], seconds: float) -> int:
    """Return how many calls the fullest window holds."""
    return max(sum(end - seconds < moment <= end for moment in moments) for end in moments)


@pytest.mark.parametrize("limits", [(CallLimit(12, 0.5),), (CallLimit(20, 0.5), CallLimit(6, 0.5, path="/wallet"))])
async def test_no_window_holds_more_than_allowed_over_three_processes(
    servers: list[SharedTraffic], limits: tuple[CallLimit, ...]
) -> None:
    moments = await asyncio.gather(*(ask(servers[number % 3], *limits) for number in range(24)))
    tightest = limits[-1]
    assert count_most(sorted(moments), tightest.seconds) <= tightest.calls
    assert max(moments) - min(moments) > 24 / tightest.calls * tightest.seconds - tightest.seconds


async def test_a_place_too_far_away_is_refused_unsent_and_taken_by_nobody(servers: list[SharedTraffic]) -> None:
    slow = CallLimit(1, 60)
    await ask(servers[0], slow)
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            await ask(servers[1], slow)
        assert refused.value.retry_after_seconds is not None
        assert 50 < refused.value.retry_after_seconds <= 62


async def test_ways_out_and_hosts_do_not_share(servers: list[SharedTraffic]) -> None:
    slow = CallLimit(1, 60)
    for lane in (LANE, Lane("203.0.113.11", LANE.origin), Lane("", "https://other.example.org")):
        await ask(servers[0], slow, lane=lane)
        with pytest.raises(RateLimited):
            await ask(servers[1], slow, lane=lane)


def test_a_lot_costs_one_question_and_its_places_lie_apart() -> None:
    now = [100.0]
    places = Places((CallLimit(10),), lambda: now[0])
    places.waiting = 4
    assert places.count_wanted() == 4
    places.add_lot(4, first_in=0, asked_at=99.99, told_at=100.0)
    taken = [places.take() for _ in range(5)]
    assert taken.pop() is None
    opens = [place.opens_at for place in taken if place]
    assert opens == pytest.approx([100.0, 100.11, 100.22, 100.33])
    assert all(place.opens_at <= place.ends_at < place.gone_at for place in taken if place)
    assert all(place.gone_at - place.opens_at <= places.good_seconds for place in taken if place)
    places.add_lot(2, first_in=0, asked_at=100.0, told_at=100.0)
    now[0] = 101.0
    assert places.take() is None, "what was not used in time is lost"


@pytest.mark.parametrize("still_seconds", [1, 60])
async def test_a_place_that_was_slept_over_is_not_used(databases: list[Database], still_seconds: float) -> None:
    """A process that stood still, stopped by a signal or starved, wakes with places that others have used up around."""
    now = [time.monotonic()]
    slept: list[float] = []

    async def stand_still(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds + (still_seconds if len(slept) == 1 else 0)

    traffic = SharedTraffic(databases[0], monotonic=lambda: now[0], sleep=stand_still)
    limit = CallLimit(5)
    told = []
    for _ in range(2):
        try:
            async with traffic.admit(LANE, limits=[limit], call=CALL, within_seconds=3) as admission:
                admission.status = 200
            told.append("left")
        except RateLimited:
            told.append("refused unsent")
    assert told == ["left", "left" if still_seconds < 3 else "refused unsent"]
    assert len(slept) >= (2 if still_seconds < 3 else 1), "it went back and took another place"


def test_places_are_taken_ahead_only_while_none_is_lost_or_waited_for() -> None:
    now = [100.0]
    places = Places((CallLimit(10),), lambda: now[0])
    for wanted in (1, 2, 3, 4, 4):
        assert places.count_wanted() == wanted
        places.add_lot(wanted, first_in=0, asked_at=now[0], told_at=now[0])
        for _ in range(wanted):
            assert places.take() is not None
            now[0] += 0.11
    places.add_lot(4, first_in=0, asked_at=now[0], told_at=now[0])
    now[0] += 60
    assert places.take() is None
    assert places.count_wanted() == 1, "lost places teach modesty"
    places.add_lot(1, first_in=0, asked_at=now[0], told_at=now[0])
    assert places.take() is not None
    assert places.count_wanted() == 2
    places.add_lot(2, first_in=1, asked_at=now[0], told_at=now[0])
    assert places.take() is not None
    assert places.count_wanted() == 1, "where calls wait for each other, others need the places too"


async def test_a_rest_is_known_to_all_and_one_question_goes_out(servers: list[SharedTraffic], databases: list[Database]) -> None:
    limit = CallLimit(1000)
    await fail(servers[0], times=3)
    await fail(servers[1], times=2)
    for traffic in servers:
        with pytest.raises(Resting) as resting:
            await ask(traffic, limit)
        assert resting.value.retry_after_seconds is not None
        assert 25 < resting.value.retry_after_seconds <= 30
        assert (await traffic.list_rests())[LANE].state is BreakerState.OPEN
    await advance(databases[0], seconds=30)
    fresh = [SharedTraffic(database) for database in databases]
    for traffic in fresh:
        await traffic.list_rests()

    async def probe(traffic: SharedTraffic) -> str:
        try:
            async with traffic.admit(LANE, limits=[limit], call=CALL, within_seconds=3) as admission:
                assert admission.is_probe
                await asyncio.sleep(0.3)
                admission.status = 502
        except Resting:
            return "rests"
        return "asked"

    told = await asyncio.gather(*(probe(traffic) for traffic in fresh for _ in range(5)))
    assert sorted(set(told)) == ["asked", "rests"]
    assert told.count("asked") == 1
    await advance(databases[0], seconds=30)
    again = SharedTraffic(databases[2])
    await again.list_rests()
    await ask(again, limit)
    assert await servers[0].list_rests() == {}
    await ask(servers[0], limit)


async def test_one_answer_forgets_failures_that_are_too_few(servers: list[SharedTraffic]) -> None:
    limit = CallLimit(1000)
    await fail(servers[0], times=FAILURES_TO_OPEN - 1)
    await ask(servers[1], limit)
    await fail(servers[2], times=FAILURES_TO_OPEN - 1)
    assert (await servers[0].list_rests())[LANE].state is BreakerState.CLOSED
    await ask(servers[0], limit)


async def test_one_turn_per_key_and_the_number_goes_on(servers: list[SharedTraffic]) -> None:
    running: list[str] = []

    async def use(traffic: SharedTraffic, number: int) -> int:
        last = await traffic.take_turn("kraken/f")
        assert not running, "two processes use the key at once"
        running.append("x")
        await asyncio.sleep(0.02)
        running.clear()
        await traffic.end_turn("kraken/f", last_number=max(last + 1, number), gap_seconds=0)
        return max(last + 1, number)

    numbers = await asyncio.gather(*(use(traffic, start) for start, traffic in zip((5000, 100, 1), servers, strict=True)))
    assert len(set(numbers)) == 3
    assert await servers[0].take_turn("kraken/f") == max(numbers)
    assert await servers[1].take_turn("kraken/other") == 0


async def test_a_turn_whose_holder_died_runs_out(servers: list[SharedTraffic], databases: list[Database]) -> None:
    await servers[0].take_turn("kraken/f")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await servers[1].take_turn("kraken/f")
    async with databases[0].write() as session:
        await session.execute(text("UPDATE exchange_turns SET held_until = held_until - interval '15 seconds'"))
    assert await servers[1].take_turn("kraken/f") == 0
    await servers[0].end_turn("kraken/f", last_number=9, gap_seconds=0)  # it woke up: the turn is not its own any more
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await servers[2].take_turn("kraken/f")


async def test_another_process_heeds_the_calls_of_this_second(servers: list[SharedTraffic]) -> None:
    await servers[0].take_turn("kraken/f")
    await servers[0].end_turn("kraken/f", last_number=1, gap_seconds=60)
    assert await servers[0].take_turn("kraken/f") == 1, "its own calls are counted by the process itself"
    await servers[0].end_turn("kraken/f", last_number=2, gap_seconds=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await servers[1].take_turn("kraken/f")
    await servers[0].forget_old()


async def test_without_the_database_nothing_is_asked() -> None:
    away = Database(Secret("postgresql+psycopg://keydeck@/nowhere?host=/nonexistent"))
    traffic = SharedTraffic(away)
    with pytest.raises(LimitsUnknown) as unknown:
        await ask(traffic, CallLimit(10))
    assert unknown.value.code == "internal"
    assert unknown.value.who_acts == "operator"
    with pytest.raises(LimitsUnknown):
        await traffic.take_turn("kraken/f")
    await traffic.end_turn("kraken/f", last_number=1, gap_seconds=0)
    await away.aclose()
