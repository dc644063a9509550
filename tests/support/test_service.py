"""A look-up needs enough to go by, shows at most 20 keys, and is written to the activity of each customer seen."""

import pytest
from sqlalchemy import select

from app.accounts.models import User
from app.audit import AuditEvent
from app.clock import Clock
from app.credentials.views import Status
from app.db import Database
from app.operations import look_ups_repository
from app.support.service import LIMITED, LOOK_UPS, SEARCHED, SHOWN_AT_MOST, VIEWED, LookUp, LookUpState, Support, clean_ticket
from app.web.errors import Problem
from tests.conftest import FakeClock
from tests.operations.rows import add_credential, add_user
from tests.support.cases import AGENT, NOW, KnownCases, make_case


async def look_up(database: Database, clock: Clock, known: KnownCases, query: str) -> LookUp:
    async with database.write() as session:
        support = Support(session, credentials=known, clock=clock)  # type: ignore[arg-type]  # the one method used
        return await support.look_up(AGENT, query, ticket="4821")


async def list_events(database: Database) -> list[AuditEvent]:
    async with database.read() as session:
        return list((await session.execute(select(AuditEvent).order_by(AuditEvent.owner_id))).scalars())


@pytest.fixture
async def database(database: Database) -> Database:
    """With the agent's own account, to whose activity look-ups are written."""
    async with database.write() as session:
        session.add(User(id=AGENT.user_id, email=AGENT.email, password_hash="x", roles=["support"], created_at=NOW))
    return database


@pytest.mark.parametrize("query", ["", "   ", "a@b", "  abc ", "x" * 255])
async def test_too_little_or_too_much_is_not_searched_and_not_recorded(database: Database, clock: Clock, query: str) -> None:
    known = KnownCases(make_case())
    found = await look_up(database, clock, known, query)
    assert (found.state, found.cases, known.asked) == (LookUpState.TOO_SHORT, (), [])
    assert await list_events(database) == []


async def test_no_match_is_recorded_for_who_asked_and_without_the_query(database: Database, clock: Clock) -> None:
    found = await look_up(database, clock, KnownCases(), " nobody@example.org ")
    assert (found.state, found.query) == (LookUpState.NO_MATCH, "nobody@example.org")
    (event,) = await list_events(database)
    assert (event.action, event.actor_id, event.owner_id, event.object_id) == (SEARCHED, AGENT.user_id, AGENT.user_id, None)
    assert event.detail == {"credentials": "0", "ticket": "4821"}


async def test_each_customer_seen_gets_one_event(database: Database, clock: Clock) -> None:
    async with database.write() as session:
        first, second = add_user(session), add_user(session, "other@example.org")
        await session.flush()
        ids = [add_credential(session, first), add_credential(session, first), add_credential(session, second)]
    found = await look_up(database, clock, KnownCases(*(make_case(identifier) for identifier in ids)), "example.org")
    assert (found.state, len(found.cases)) == (LookUpState.FOUND, 3)
    events = {event.owner_id: event for event in await list_events(database)}
    assert {owner: (event.action, event.object_id, event.detail) for owner, event in events.items()} == {
        first: (VIEWED, None, {"credentials": "2", "ticket": "4821"}),
        second: (VIEWED, ids[2], {"credentials": "1", "ticket": "4821"}),
        AGENT.user_id: (SEARCHED, None, {"credentials": "3", "ticket": "4821"}),
    }
    assert {(event.actor_id, event.actor_ip, event.at) for event in events.values()} == {("usr_agent", "192.0.2.4", NOW)}


async def test_what_was_seen_and_that_it_was_seen_are_one_transaction(database: Database, clock: Clock) -> None:
    async with database.write() as session:
        owner = add_user(session)
        await session.flush()
        credential_id = add_credential(session, owner)
    with pytest.raises(ZeroDivisionError):
        await look_up_and_fail(database, clock, credential_id)
    assert await list_events(database) == []


async def look_up_and_fail(database: Database, clock: Clock, credential_id: str) -> None:
    async with database.write() as session:
        known = KnownCases(make_case(credential_id))
        await Support(session, credentials=known, clock=clock).look_up(AGENT, "trader@example.org", ticket="1")  # type: ignore[arg-type]  # as above
        raise ZeroDivisionError


async def test_two_hundred_look_ups_an_hour_are_enough_and_operators_see_who_wanted_more(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    known = KnownCases(make_case())
    for _ in range(LOOK_UPS.budgets[0].most):
        await look_up(database, clock, known, "trader@example.org")
    for _ in range(3):
        with pytest.raises(Problem) as refused:
            await look_up(database, clock, known, "trader@example.org")
        assert refused.value.status == 429
        assert refused.value.extra == {"retry_after_seconds": 3600}
    assert len(known.asked) == LOOK_UPS.budgets[0].most == 200
    assert [event.action for event in await list_events(database)].count(LIMITED) == 1
    assert "usr_agent are refused" in caplog.text
    async with database.read() as session:
        (row,) = await look_ups_repository.list_look_ups_for_operations(session, now=clock())
    assert (row.email, row.count, row.limited) == (AGENT.email, 200, 1)
    clock.advance(hours=1)
    await look_up(database, clock, known, "trader@example.org")
    assert len(known.asked) == 201


async def test_what_was_not_asked_is_not_counted(database: Database, clock: Clock) -> None:
    async with database.write() as session:
        support = Support(session, credentials=KnownCases(), clock=clock)  # type: ignore[arg-type]  # as above
        for query, ticket in (("a@b", "1"), ("trader@example.org", " ")):
            assert (await support.look_up(AGENT, query, ticket=ticket)).state in (LookUpState.TOO_SHORT, LookUpState.NO_TICKET)
    async with database.read() as session:
        assert not await look_ups_repository.list_look_ups_for_operations(session, now=clock())


def test_a_ticket_is_one_short_line() -> None:
    assert clean_ticket("  T-1\n2\u202e3 ") == "T-123"
    assert len(clean_ticket("x" * 500)) == 40


async def test_only_the_first_twenty_are_shown(database: Database, clock: Clock) -> None:
    found = await look_up(database, clock, KnownCases(*(make_case(f"crd_{at}") for at in range(25))), "example.org")
    assert (len(found.cases), found.left_out) == (SHOWN_AT_MOST, 5)


def test_a_look_up_counts_who_needs_attention_and_names_each_owner_once() -> None:
    cases = (
        make_case("crd_1", status=Status.INVALID_KEY),
        make_case("crd_2", status=Status.UNAVAILABLE),
        make_case("crd_3", owner_email="other@example.org"),
    )
    found = LookUp(LookUpState.FOUND, "example.org", cases)
    assert (found.attention, found.owners) == (1, ("trader@example.org", "other@example.org"))
