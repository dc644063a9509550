"""The one question at an exchange that rests: whoever gives it up, no two leave within half a minute, over all processes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.db import Database
from app.exchanges.errors import Resting, Unreachable
from app.masking import Secret
from app.traffic.service import SharedTraffic
from tests.traffic.test_shared import CALL, LANE, advance, ask, fail

pytestmark = pytest.mark.postgresql


async def test_a_probe_given_up_leaves_room_for_the_next(servers: list[SharedTraffic], databases: list[Database]) -> None:
    await fail(servers[0])
    await advance(databases[0], seconds=30)
    prober = SharedTraffic(databases[1])
    await prober.list_rests()

    async def give_up() -> None:
        async with prober.admit(LANE, limits=[], call=CALL, within_seconds=3) as admission:
            assert admission.is_probe
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await give_up()
    next_one = SharedTraffic(databases[2])
    await next_one.list_rests()
    await ask(next_one)
    assert await servers[0].list_rests() == {}


async def open_probe(server: SharedTraffic, database: Database) -> SharedTraffic:
    """Return a further server that knows of a rest whose next question is due."""
    await fail(server)
    await advance(database, seconds=30)
    prober = SharedTraffic(database)
    await prober.list_rests()
    return prober


async def end_probe(prober: SharedTraffic, *, is_sent: bool, meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
    """Give the question up, as a closed page or a process that stood still does."""

    async def give_up() -> None:
        async with prober.admit(LANE, limits=[], call=CALL, within_seconds=3) as admission:
            assert admission.is_probe
            admission.is_sent = is_sent
            if meanwhile is not None:
                await meanwhile()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await give_up()


async def test_a_probe_that_left_is_followed_by_the_next_after_its_time(
    servers: list[SharedTraffic], databases: list[Database]
) -> None:
    await end_probe(await open_probe(servers[0], databases[1]), is_sent=True)
    next_one = SharedTraffic(databases[2])
    await next_one.list_rests()
    with pytest.raises(Resting) as resting:
        await ask(next_one)
    assert 28 < (resting.value.retry_after_seconds or 0) <= 30


@pytest.mark.parametrize("is_sent", [True, False])
async def test_a_prober_that_stood_still_gives_back_nobody_elses_question(
    servers: list[SharedTraffic], databases: list[Database], is_sent: bool
) -> None:
    prober = await open_probe(servers[0], databases[1])
    other = SharedTraffic(databases[2])

    async def be_overtaken() -> None:
        await advance(databases[0], seconds=41)
        await other.list_rests()
        with pytest.raises(Unreachable):
            await ask(other, status=None)

    await end_probe(prober, is_sent=is_sent, meanwhile=be_overtaken)
    for traffic in (prober, other, SharedTraffic(databases[0])):
        await traffic.list_rests()
        with pytest.raises(Resting) as resting:
            await ask(traffic)
        assert 28 < (resting.value.retry_after_seconds or 0) <= 30, "after the other's question"


async def test_a_probe_is_given_up_as_what_it_was_without_the_database(
    servers: list[SharedTraffic], databases: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    prober = await open_probe(servers[0], databases[1])

    async def lose_the_database() -> None:
        monkeypatch.setattr(databases[1], "connect", Database(Secret("postgresql+psycopg://k@/n?host=/nonexistent")).connect)

    await end_probe(prober, is_sent=True, meanwhile=lose_the_database)
    with pytest.raises(Resting):
        await ask(prober)
