"""Tries are counted in the database: exactly, by all servers together, across restarts; and swept when over."""

import asyncio
from typing import Any

import pytest

from app.accounts.limits import HOUR, Budget, Limit, Limits, Refused, Taken, Trickle, group_address
from app.db import Database
from app.masking import Secret

BELL = Limit("bell", (Trickle(("account", "place"), most=2, each=2 * HOUR), Trickle(("account",), most=3, each=HOUR)))
DOOR = Limit("door", (Budget(("account", "place"), most=3, seconds=300), Budget(("account",), most=5, seconds=3600)))


async def knock(
    database: Database, clock: Any, *, account: str = "one", place: str = "a", limit: Limit = DOOR
) -> Taken | Refused:
    async with database.write() as session:
        return await Limits(session, clock=clock).take(limit, account=account, place=place)


async def count_rows(database: Database, table: str = "attempt_counts") -> int:
    async with database.connect() as connection:
        return int((await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one())


async def test_a_budget_is_used_up_and_begins_anew(database: Database, clock: Any) -> None:
    for _ in range(3):
        assert isinstance(await knock(database, clock), Taken)
        clock.advance(seconds=10)
    refused = await knock(database, clock)
    assert refused == Refused(270)
    assert refused.wait == "5 minutes"
    clock.advance(seconds=269)
    assert await knock(database, clock) == Refused(1)
    clock.advance(seconds=1)
    assert isinstance(await knock(database, clock), Taken)


async def test_a_refused_try_uses_nothing_up(database: Database, clock: Any) -> None:
    for _ in range(3):
        await knock(database, clock)
    for _ in range(50):
        assert isinstance(await knock(database, clock), Refused)
    assert isinstance(await knock(database, clock, place="b"), Taken)
    assert isinstance(await knock(database, clock, place="c"), Taken)
    refused = await knock(database, clock, place="d")
    assert isinstance(refused, Refused)
    assert refused.wait == "60 minutes"
    assert isinstance(await knock(database, clock, account="two", place="d"), Taken)


async def test_of_many_at_once_exactly_the_budget_gets_through(database_url: Secret, clock: Any) -> None:
    """Two servers on one database, forty tries at once."""
    servers = [Database(database_url), Database(database_url)]
    answers = await asyncio.gather(*(knock(servers[number % 2], clock) for number in range(40)))
    assert sum(isinstance(answer, Taken) for answer in answers) == 3
    for server in servers:
        await server.aclose()
    restarted = Database(database_url)
    assert isinstance(await knock(restarted, clock), Refused)
    await restarted.aclose()


async def test_many_accounts_and_places_at_once_never_wait_in_a_ring(database_url: Secret, clock: Any) -> None:
    servers = [Database(database_url), Database(database_url)]
    pairs = [(account, place) for account in ("one", "two", "three") for place in ("a", "b", "c", "d")]
    answers = await asyncio.gather(
        *(knock(servers[number % 2], clock, account=account, place=place) for number, (account, place) in enumerate(pairs * 3))
    )
    assert sum(isinstance(answer, Taken) for answer in answers) == 15
    for server in servers:
        await server.aclose()


async def test_what_succeeded_is_given_back_and_nothing_else(database: Database, clock: Any) -> None:
    await knock(database, clock)
    for _ in range(10):
        async with database.write() as session:
            limits = Limits(session, clock=clock)
            taken = await limits.take(DOOR, account="one", place="a")
            assert isinstance(taken, Taken)
            await limits.give_back(taken)
    assert isinstance(await knock(database, clock), Taken)
    assert isinstance(await knock(database, clock), Taken)
    assert isinstance(await knock(database, clock), Refused)


async def test_a_try_from_an_older_window_is_not_given_back_to_a_newer(database: Database, clock: Any) -> None:
    old = await knock(database, clock)
    assert isinstance(old, Taken)
    clock.advance(seconds=301)
    for _ in range(3):
        await knock(database, clock)
    async with database.write() as session:
        await Limits(session, clock=clock).give_back(old)
    assert isinstance(await knock(database, clock), Refused)


async def test_a_try_counts_even_when_the_work_after_it_fails(database: Database, clock: Any) -> None:
    async def try_and_break() -> None:
        async with database.write() as session:
            await Limits(session, clock=clock).take(DOOR, account="one", place="a")
            raise OSError("it broke")

    for _ in range(3):
        with pytest.raises(OSError, match="broke"):
            await try_and_break()
    assert isinstance(await knock(database, clock), Refused)


async def test_tries_that_come_back_do_so_one_by_one(database: Database, clock: Any) -> None:
    assert [type(await knock(database, clock, limit=BELL)) for _ in range(2)] == [Taken] * 2
    assert await knock(database, clock, limit=BELL) == Refused(2 * HOUR)
    assert isinstance(await knock(database, clock, place="b", limit=BELL), Taken), "the refused try used nothing up"
    assert await knock(database, clock, place="b", limit=BELL) == Refused(HOUR)
    clock.advance(minutes=59, seconds=59)
    assert await knock(database, clock, place="b", limit=BELL) == Refused(1)
    clock.advance(seconds=1)
    assert isinstance(await knock(database, clock, place="b", limit=BELL), Taken)
    assert await knock(database, clock, place="c", limit=BELL) == Refused(HOUR), "one came back, not all"
    clock.advance(days=1)
    taken = [isinstance(await knock(database, clock, place=place, limit=BELL), Taken) for place in "abcd"]
    assert taken == [True] * 3 + [False], "never more than it holds, however long nobody tried"
    assert await count_rows(database, "attempt_trickles") == 4, "what has come back is swept"


async def test_a_try_that_came_back_is_given_back_by_success_too(database: Database, clock: Any) -> None:
    for _ in range(10):
        async with database.write() as session:
            limits = Limits(session, clock=clock)
            taken = await limits.take(BELL, account="one", place="a")
            assert isinstance(taken, Taken)
            await limits.give_back(taken)
    assert [type(await knock(database, clock, limit=BELL)) for _ in range(3)] == [Taken, Taken, Refused]
    async with database.write() as session:
        await Limits(session, clock=clock).forget(BELL, account="one", place="a")
    assert isinstance(await knock(database, clock, limit=BELL), Taken)


@pytest.mark.parametrize("pace", [1, 7, 60, 3600])
async def test_a_day_holds_no_more_than_was_reckoned(database: Database, clock: Any, pace: int) -> None:
    """However the tries are spread: three at once, and one an hour."""
    taken = 0
    for _ in range(min(60, 86400 // pace)):
        taken += isinstance(await knock(database, clock, place=str(taken), limit=BELL), Taken)
        clock.advance(seconds=pace)
    assert taken <= 3 + min(60, 86400 // pace) * pace / HOUR


async def test_of_many_at_once_a_trickle_lets_through_what_it_holds(database_url: Secret, clock: Any) -> None:
    servers = [Database(database_url), Database(database_url)]
    tries = (knock(servers[number % 2], clock, place=str(number), limit=BELL) for number in range(30))
    assert sum(isinstance(answer, Taken) for answer in await asyncio.gather(*tries)) == 3
    for server in servers:
        await server.aclose()


async def test_windows_that_are_over_are_swept(database: Database, clock: Any) -> None:
    for number in range(30):
        await knock(database, clock, account=f"person{number}")
    assert await count_rows(database) == 60
    clock.advance(hours=2)
    for number in range(4):
        await knock(database, clock, account=f"newcomer{number}")
    assert await count_rows(database) == 8


async def test_no_name_is_stored(database: Database, clock: Any) -> None:
    await knock(database, clock, account="someone@example.org", place="203.0.113.9")
    async with database.connect() as connection:
        stored = repr((await connection.exec_driver_sql("SELECT * FROM attempt_counts")).all())
    assert "someone" not in stored
    assert "203.0" not in stored


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_ipv6_network_is_one_place(ip: str, place: str) -> None:
    assert group_address(ip) == place


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 minute"), (61, "2 minutes"), (7140, "119 minutes"), (7200, "2 hours"), (7201, "3 hours"), (80000, "23 hours")],
)
def test_the_wait_reads_well(seconds: int, words: str) -> None:
    assert Refused(seconds).wait == words
    problem = Refused(seconds).as_problem()
    assert problem.status == 429
    assert problem.extra == {"retry_after_seconds": seconds}
    assert words in problem.detail
