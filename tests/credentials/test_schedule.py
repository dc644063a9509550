"""Which keys are due, who gets them, and when they come round again: alike on both databases."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, text

from app.accounts.models import User
from app.credentials import schedule_repository
from app.credentials.check_run import CheckOutcome
from app.credentials.models import Credential
from app.credentials.schedule import (
    BACK_OFF_SECONDS,
    CHANGED_SECONDS,
    SPREAD,
    DueSite,
    Schedule,
    align,
    choose_next_balances,
    choose_next_check,
    spread,
)
from app.credentials.schedule_repository import Duty, Ways
from app.credentials.status import CHECK_TIME
from app.db import Database
from app.exchanges.errors import Maintenance, RateLimited
from tests.conftest import START, FakeClock

INTERVAL_SECONDS = 900


async def add_credentials(database: Database, count: int, **columns: Any) -> list[str]:
    """Store credentials, due a second apart up to now, the first of them the longest."""
    async with database.write() as session:
        if await session.get(User, "usr_1") is None:
            session.add(User(id="usr_1", email="trader@example.org", password_hash="x", roles=[], created_at=START))
            await session.flush()
        taken = (await session.execute(text("SELECT count(*) FROM credentials"))).scalar_one()
        for number in range(taken, taken + count):
            values = {
                "exchange": "htx",
                "environment": "live",
                "next_check_at": START - timedelta(seconds=taken + count - number - 1),
                **columns,
            }
            session.add(
                Credential(
                    id=f"crd_{number:06}", user_id="usr_1", label="Main", plan="balances", key_hint="f3a9",
                    fingerprint=f"{number}", secret_version=1, created_at=START, updated_at=START, **values,
                )
            )  # fmt: skip
    return [f"crd_{number:06}" for number in range(taken, taken + count)]


async def claim(database: Database, clock: FakeClock, *, limit: int = 100) -> list[str]:
    async with database.write() as session:
        return [found.credential_id for found in await Schedule(session, clock=clock).claim("htx", "live", limit=limit)]


async def has_due(database: Database, clock: FakeClock) -> bool:
    async with database.read() as session:
        return bool(await Schedule(session, clock=clock).list_due(most=1))


async def test_a_claim_takes_what_is_due_once(database: Database, clock: FakeClock) -> None:
    due = await add_credentials(database, 5)
    await add_credentials(database, 1, next_check_at=START + timedelta(seconds=1))
    await add_credentials(database, 1, next_check_at=None)
    await add_credentials(database, 1, paused_at=START)
    await add_credentials(database, 1, checking_since=START - CHECK_TIME + timedelta(seconds=1))
    abandoned = await add_credentials(database, 1, checking_since=START - CHECK_TIME)

    assert sorted(await claim(database, clock, limit=3)) == due[:3], "the longest due come first, and no more than asked for"
    assert await has_due(database, clock)
    assert sorted(await claim(database, clock)) == [*due[3:], *abandoned]
    assert not await has_due(database, clock)
    assert await claim(database, clock) == []

    clock.advance(minutes=2)
    assert len(await claim(database, clock)) == 8, "marks without an end are taken over after two minutes"


async def test_claims_made_side_by_side_never_meet(database: Database, clock: FakeClock) -> None:
    due = await add_credentials(database, 60)
    claimed = await asyncio.gather(*[claim(database, clock, limit=7) for _ in range(6)])
    while more := await claim(database, clock, limit=7):
        claimed.append(more)
    assert sorted(found for batch in claimed for found in batch) == due
    assert max(map(len, claimed)) == 7


async def test_a_claim_ends_only_for_who_holds_it(database: Database, clock: FakeClock) -> None:
    await add_credentials(database, 1)
    async with database.write() as session:
        schedule = Schedule(session, clock=clock)
        (first,) = await schedule.claim("htx", "live", limit=1)
        clock.advance(minutes=3)
        (second,) = await schedule.claim("htx", "live", limit=1)
        await schedule.give_back(first)
        await schedule.put_off(first, seconds=60)
        assert not await schedule.list_due(most=1)
        await schedule.put_off(second, seconds=60)
        clock.advance(seconds=50)
        assert not await schedule.list_due(most=1)
        clock.advance(seconds=20)
        (third,) = await schedule.claim("htx", "live", limit=1)
        await schedule.give_back(third)
        assert await schedule.list_due(most=1), "what is given back is due at once"


async def test_a_credential_paused_meanwhile_is_not_planned_again(database: Database, clock: FakeClock) -> None:
    await add_credentials(database, 1)
    async with database.write() as session:
        schedule = Schedule(session, clock=clock)
        (claimed,) = await schedule.claim("htx", "live", limit=1)
        await session.execute(text("UPDATE credentials SET paused_at = created_at, next_check_at = NULL"))
        await schedule.put_off(claimed, seconds=60)
        row = (await session.execute(text("SELECT checking_since, next_check_at FROM credentials"))).one()
    assert tuple(row) == (None, None)


async def test_sites_are_found_with_what_is_due_at_each(database: Database, clock: FakeClock) -> None:
    await add_credentials(database, 3)
    await add_credentials(database, 5, exchange="hitbtc")
    await add_credentials(database, 2, environment="sandbox", next_check_at=START + timedelta(seconds=1))
    await add_credentials(database, 1, exchange="long-gone")
    async with database.write() as session:
        schedule = Schedule(session, clock=clock)
        assert await schedule.list_due(most=4) == [
            DueSite("hitbtc", "live", 4), DueSite("htx", "live", 3), DueSite("long-gone", "live", 1),
        ]  # fmt: skip
        assert len(await schedule.claim("hitbtc", "live", limit=10)) == 5
        assert [site.exchange for site in await schedule.list_due(most=1)] == ["htx", "long-gone"]


async def test_balances_are_due_by_themselves_unless_the_key_is_in_quarantine(database: Database, clock: FakeClock) -> None:
    later = START + timedelta(minutes=10)
    await add_credentials(database, 1, next_check_at=later, next_balances_at=START)
    await add_credentials(database, 1, next_check_at=later, next_balances_at=START, quarantined_at=START)
    await add_credentials(database, 1, next_check_at=later, next_balances_at=START, paused_at=START)
    await add_credentials(database, 1, next_check_at=START, next_balances_at=START)
    await add_credentials(database, 1, next_check_at=later, next_balances_at=None)
    async with database.write() as session:
        schedule = Schedule(session, clock=clock)
        claimed = {found.credential_id: found.duty for found in await schedule.claim("htx", "live", limit=10)}
        assert claimed == {"crd_000000": Duty.BALANCES, "crd_000003": Duty.RIGHTS}
        clock.advance(minutes=11)
        claimed = {found.credential_id: found.duty for found in await schedule.claim("htx", "live", limit=10)}
        assert claimed == dict.fromkeys(("crd_000000", "crd_000001", "crd_000003", "crd_000004"), Duty.RIGHTS)


async def test_a_way_out_that_rests_is_left_out_and_a_probe_uses_no_other(database: Database, clock: FakeClock) -> None:
    for way in (None, "east", "west"):
        await add_credentials(database, 1, way=way)
    async with database.write() as session:
        schedule = Schedule(session, clock=clock)
        first = await schedule.claim("htx", "live", limit=10, ways=Ways(without=["east", None]))
        probe = await schedule.claim("htx", "live", limit=10, ways=Ways(only=["direct", None]))
    assert [found.credential_id for found in (*first, *probe)] == ["crd_000002", "crd_000000"]


async def test_who_takes_up_what_a_killed_process_left_gets_new_marks(database: Database, clock: FakeClock) -> None:
    await add_credentials(database, 3)
    async with database.write() as session:
        schedule = Schedule(session, clock=clock)
        left = await schedule.claim("htx", "live", limit=3)
        clock.advance(seconds=100)
        assert await schedule.retake(left) == [], "whoever claimed them may still be alive"
        clock.advance(seconds=30)
        await schedule.give_back(left[0])
        taken = await schedule.retake(left)
        assert {found.credential_id for found in taken} == {found.credential_id for found in left[1:]}
        assert {found.marked_at for found in taken} == {clock.now}
        assert await schedule.retake(left) == []


async def test_the_due_query_is_a_range_of_its_index_among_100_000_credentials(database: Database, clock: FakeClock) -> None:
    await add_credentials(database, 20)
    await copy_credential(database, "crd_000000", count=100_000, next_check_at=START + timedelta(hours=1))
    assert_index_range(await explain_due(database, clock), is_sqlite=database.is_sqlite)
    assert len(await claim(database, clock)) == 20


async def copy_credential(database: Database, credential_id: str, *, count: int, **columns: Any) -> None:
    """Store many credentials like one of them, but for some columns, in one statement."""
    names = [column.name for column in Credential.__table__.columns if column.name != "due_at"]
    own = {"id": "'crd_x' || number", "fingerprint": "'f' || number", **{name: f":{name}" for name in columns}}
    numbers = "WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n WHERE number < :count)"
    values = ", ".join(own.get(name, name) for name in names)
    statement = text(
        f"{numbers} INSERT INTO credentials ({', '.join(names)}) SELECT {values} FROM credentials, n WHERE id = :source"
        if database.is_sqlite
        else f"INSERT INTO credentials ({', '.join(names)}) {numbers} SELECT {values} FROM credentials, n WHERE id = :source"
    ).bindparams(*[bindparam(name, type_=Credential.__table__.c[name].type) for name in columns])
    async with database.write() as session:
        await session.execute(statement, {"count": count, "source": credential_id, **columns})


async def explain_due(database: Database, clock: FakeClock) -> str:
    """Return how the database finds what is due."""
    due = schedule_repository.select_due_for_worker("htx", "live", now=clock.now, stale_before=clock.now - CHECK_TIME)
    query = due.order_by(Credential.due_at).limit(16)
    plain = str(query.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True}))
    async with database.write() as session:
        await session.execute(text("ANALYZE"))
    async with database.read() as session:
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        return " ".join(str(row) for row in await session.execute(text(f"{explain} {plain}".replace(":", "\\:"))))


def assert_index_range(plan: str, *, is_sqlite: bool) -> None:
    """Assert that rows come from the index in order of time: no table is read through, and nothing is sorted."""
    assert "ix_credentials_exchange_environment_due_at" in plan
    assert ("SEARCH credentials" in plan) if is_sqlite else ("Index Scan" in plan and "Seq Scan" not in plan)
    assert "SORT" not in plan.upper().replace("SORTED", "")
    assert "TEMP B-TREE" not in plan


def make_outcome(code: str = "ok", **changes: Any) -> CheckOutcome:
    outcome = CheckOutcome(START, START, code, None, None, None, None, (), ())
    return replace(outcome, **changes)


def measure_wait(
    outcome: CheckOutcome, *, failures: int = 0, interval_seconds: int = INTERVAL_SECONDS, **more: Any
) -> tuple[float, float]:
    """Return the shortest and the longest wait over many credentials, in seconds."""
    waits = [
        (
            choose_next_check(
                outcome, credential_id=f"crd_{number}", interval_seconds=interval_seconds, earlier_failures=failures, **more
            )
            - START
        ).total_seconds()
        for number in range(300)
    ]
    return min(waits), max(waits)


def near(seconds: float) -> tuple[Any, Any]:
    """Return the ends of the spread, which three hundred credentials come near."""
    return pytest.approx(seconds * (1 - SPREAD), rel=0.01), pytest.approx(seconds * (1 + SPREAD), rel=0.01)


def test_waits_are_spread_by_a_tenth_and_anew_each_time() -> None:
    assert measure_wait(make_outcome()) == near(INTERVAL_SECONDS)
    moments = [START + timedelta(minutes=15 * number) for number in range(20)]
    shares = {spread(1.0, credential_id="crd_1", at=moment) for moment in moments}
    assert len(shares) == 20
    assert all(0.9 <= share <= 1.1 for share in shares)


@pytest.mark.parametrize("code", ["maintenance", "unreachable", "rate_limited", "exchange_unavailable", "clock_skew", "internal"])
def test_bad_weather_is_looked_at_soon_and_then_ever_later(code: str) -> None:
    for failures, seconds in enumerate((*BACK_OFF_SECONDS, BACK_OFF_SECONDS[-1])):
        assert measure_wait(make_outcome(code), failures=failures) == near(seconds)
    assert measure_wait(make_outcome(code), failures=3, interval_seconds=30) == near(30), "never less often than usual"


@pytest.mark.parametrize("code", ["invalid_key", "bad_signature", "key_expired", "locked"])
def test_a_dead_key_is_looked_at_once_an_hour(code: str) -> None:
    assert measure_wait(make_outcome(code)) == near(3600)
    assert measure_wait(make_outcome(code), interval_seconds=7200) == near(7200)


@pytest.mark.parametrize("code", ["ip_not_allowed", "permission_missing", "waiting", "withdraw_enabled", "account_blocked"])
def test_what_its_owner_can_mend_keeps_the_usual_interval(code: str) -> None:
    assert measure_wait(make_outcome(code)) == near(INTERVAL_SECONDS)


def test_a_key_that_just_changed_is_looked_at_soon_and_bad_weather_is_no_change() -> None:
    assert measure_wait(make_outcome(), former_code="permission_missing") == near(CHANGED_SECONDS)
    assert measure_wait(make_outcome("permission_missing"), former_code="ok") == near(CHANGED_SECONDS)
    assert measure_wait(make_outcome(), former_code="ok") == near(INTERVAL_SECONDS)
    assert measure_wait(make_outcome(), former_code="maintenance") == near(INTERVAL_SECONDS)
    assert measure_wait(make_outcome("maintenance", error=Maintenance()), former_code="ok") == near(BACK_OFF_SECONDS[0])
    assert measure_wait(make_outcome("invalid_key"), former_code="ok") == near(CHANGED_SECONDS), "it may come back at once"


def test_a_key_that_waits_for_an_e_mail_is_looked_at_often_at_first() -> None:
    for age_seconds, wait in ((0, 60), (3599, 60), (3600, 600), (86399, 600), (86400, INTERVAL_SECONDS)):
        assert measure_wait(make_outcome("waiting"), waiting_seconds=age_seconds) == near(wait)


def test_a_crowd_spreads_over_the_whole_interval_by_itself() -> None:
    """Five hundred keys that came at one moment, as after an import or an outage: after some rounds they fill the interval."""
    names = [f"crd_{number}" for number in range(500)]
    moments = dict.fromkeys(names, START)
    for _ in range(20):
        for name, at in moments.items():
            wait = align(INTERVAL_SECONDS, credential_id=name, at=at)
            assert 0.9 * INTERVAL_SECONDS <= wait <= 1.1 * INTERVAL_SECONDS
            moments[name] = at + timedelta(seconds=wait)
    tenths = Counter(int(at.timestamp() % INTERVAL_SECONDS / INTERVAL_SECONDS * 10) for at in moments.values())
    assert len(tenths) == 10
    assert max(tenths.values()) < 2 * 500 / 10


def test_balances_come_by_their_own_interval_but_never_just_before_a_check() -> None:
    def choose(minutes: float, **more: Any) -> datetime | None:
        return choose_next_balances(
            credential_id="crd_1", at=START, next_check_at=START + timedelta(minutes=minutes), interval_seconds=300, **more
        )

    moment = choose(15)
    assert moment is not None
    assert 270 <= (moment - START).total_seconds() <= 330
    assert choose(5.5) is None, "the check fetches them"
    assert choose(15, asked_seconds=400) == START + timedelta(seconds=400)
    assert choose(15, asked_seconds=3600) is None


def test_a_wait_that_the_exchange_asks_for_is_never_cut_short() -> None:
    for asked, code in ((120.0, "rate_limited"), (3600.0, "maintenance")):
        shortest, longest = measure_wait(make_outcome(code, error=RateLimited(retry_after_seconds=asked)))
        assert asked <= shortest < longest <= asked * 1.25
    assert measure_wait(make_outcome("rate_limited", error=RateLimited(retry_after_seconds=1.0))) == near(60)


def test_the_moments_are_the_check_s_own() -> None:
    finished: datetime = START + timedelta(seconds=30)
    at = choose_next_check(make_outcome(finished_at=finished), credential_id="crd_1", interval_seconds=INTERVAL_SECONDS)
    assert at == finished + timedelta(seconds=align(INTERVAL_SECONDS, credential_id="crd_1", at=finished))
