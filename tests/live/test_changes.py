"""Changes are noted with what they tell of, in one transaction, and heard of by whoever they concern."""

import asyncio
from datetime import timedelta

import pytest

from app.db import Database
from app.live.changes import Change, ChangeKind, note_changes, parse_payload, write_payload
from app.live.hub import Crowded, Hub, Limits
from app.live.listening import KEPT_FOR, Listener, Pace
from app.live.repository import get_newest_id, list_changes
from app.masking import Secret
from tests.conftest import FakeClock

ANNA, BERT = "usr_anna", "usr_bert"
QUICK = Pace(poll_seconds=0.02, first_retry_seconds=0.02, last_retry_seconds=0.05)


async def note(database: Database, clock: FakeClock, *changes: Change) -> None:
    async with database.write() as session:
        await note_changes(session, changes, at=clock())


async def test_a_change_is_kept_for_its_own_person_only(database: Database, clock: FakeClock) -> None:
    await note(database, clock, Change(ANNA, "crd_1", ChangeKind.CHECKED), Change(BERT, "crd_2", ChangeKind.GONE))
    async with database.read() as session:
        rows = await list_changes(session, user_id=ANNA, since=clock())
        assert [(row.credential_id, row.kind, row.at) for row in rows] == [("crd_1", "checked", clock())]
        assert await list_changes(session, user_id=BERT, since=clock() + timedelta(seconds=1)) == []


async def test_what_is_rolled_back_was_told_to_nobody(database: Database, clock: FakeClock) -> None:
    hub = Hub()
    seat = hub.take_seat(ANNA)
    listener = Listener(database, hub, clock=clock, pace=QUICK)
    listening = asyncio.create_task(listener.run())

    async def change_my_mind() -> None:
        async with database.write() as session:
            await note_changes(session, [Change(ANNA, "crd_1", ChangeKind.CHECKED)], at=clock())
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_my_mind()
    async with database.read() as session:
        assert await get_newest_id(session) is None
    await seat.wait(0.2)  # the greeting of a fresh listener
    assert not await seat.wait(0.1)
    await note(database, clock, Change(ANNA, "crd_1", ChangeKind.CHECKED))
    assert await seat.wait(5)
    listening.cancel()


async def test_a_change_of_another_process_is_heard_by_its_person(
    database: Database, database_url: Secret, clock: FakeClock
) -> None:
    """A second Database stands for another process: nothing but the database file or server is shared."""
    hub = Hub()
    anna, bert = hub.take_seat(ANNA), hub.take_seat(BERT)
    listening = asyncio.create_task(Listener(database, hub, clock=clock, pace=QUICK).run())
    await asyncio.gather(anna.wait(0.3), bert.wait(0.3))
    elsewhere = Database(database_url)
    await note(elsewhere, clock, Change(ANNA, "crd_1", ChangeKind.CHECKED))
    assert await anna.wait(5)
    assert await bert.wait(0.05) is database.is_sqlite  # a number tells nobody whose change it was
    await elsewhere.aclose()
    listening.cancel()


async def test_old_changes_go(database: Database, clock: FakeClock) -> None:
    listener = Listener(database, Hub(), clock=clock)
    await note(database, clock, *[Change(ANNA, f"crd_{number}", ChangeKind.CHECKED) for number in range(20)])
    clock.advance(seconds=KEPT_FOR.total_seconds() + 1)
    await note(database, clock, Change(ANNA, "crd_new", ChangeKind.CHECKED))
    assert await listener.prune() == 20
    assert await listener.prune() == 0
    async with database.read() as session:
        assert len(await list_changes(session, user_id=ANNA, since=clock() - timedelta(days=1))) == 1


def test_a_signal_names_people_and_fits_its_frame() -> None:
    some = {f"usr_{number:026d}" for number in range(200)}
    assert parse_payload(write_payload(some)) == some
    assert len(write_payload(some)) < 8000
    assert parse_payload(write_payload(some | {"usr_one_more"})) is None


async def test_seats_are_bounded_per_person_and_in_all() -> None:
    hub = Hub(Limits(per_user=2, per_process=3))
    first, second, third = hub.take_seat(ANNA), hub.take_seat(ANNA), hub.take_seat(BERT)
    with pytest.raises(Crowded) as own:
        hub.take_seat(ANNA)
    with pytest.raises(Crowded) as all_taken:
        hub.take_seat(BERT)
    assert own.value.is_own
    assert not all_taken.value.is_own
    for seat in (first, first, second, third):
        hub.leave(seat)
    assert hub.count == 0
    assert not hub.occupied.is_set()
    assert hub.take_seat(ANNA) is not None


async def test_a_database_that_is_away_is_tried_again(
    database: Database, database_url: Secret, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong while listening, the next try may work: nothing ends the listener but the server's stop."""
    hub = Hub()
    seat = hub.take_seat(ANNA)
    listener = Listener(database, hub, clock=clock, pace=QUICK)
    failures = 0

    async def fail(*_: object) -> None:
        nonlocal failures
        failures += 1
        raise ValueError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr("app.live.listening.repository.get_newest_id", fail)
        patch.setattr(Listener, "_listen_once", fail)
        listening = asyncio.create_task(listener.run())
        async with asyncio.timeout(10):
            while failures < 3:  # noqa: ASYNC110  # counted by what fails
                await asyncio.sleep(0.01)
    await seat.wait(0.3)
    elsewhere = Database(database_url)
    await note(elsewhere, clock, Change(ANNA, "crd_1", ChangeKind.CHECKED))
    assert await seat.wait(5)
    await elsewhere.aclose()
    listening.cancel()
