"""The outbox: nothing lost, nothing sent by two at once, ever longer waits, and an end that the person is told of."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

from app.alerts.delivery import BACK_OFF_SECONDS, MOST_TRIES, Deliverer
from app.alerts.messages import Outgoing
from app.alerts.sending import Address, Sender
from tests.alerts.stage import READ, TRADE, WITHDRAW, AlertStage
from tests.conftest import FakeClock


async def drift(stage: AlertStage, clock: FakeClock, *, label: str = "Main") -> str:
    view = await stage.connect("htx", "read-trade", label=label)
    stage.set_rights(READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    await stage.check(view.id)
    return view.id


async def test_a_receiver_that_is_down_is_tried_again_until_it_is_back(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    await drift(stage, clock)
    stage.receiver.status = 503
    await stage.run_round()
    assert await stage.list_deliveries() == [("waiting", 1, "It answered 503.")]
    await stage.run_round()
    assert stage.receiver.calls == 1, "not before its time"
    clock.advance(seconds=BACK_OFF_SECONDS[0])
    await stage.run_round()
    assert stage.receiver.calls == 2
    clock.advance(seconds=BACK_OFF_SECONDS[1])
    stage.receiver.status = 204
    await stage.run_round()
    assert await stage.list_deliveries() == [("sent", 3, "Answered 204")]
    assert stage.receiver.titles == ["Main at HTX can withdraw now"]
    async with stage.channels() as channels:
        (channel,) = await channels.list_all(stage.principal)
    assert (channel.failing_since, channel.failure) == (None, None)


async def test_one_that_stays_down_is_given_up_and_the_person_told_in_the_app(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook(name="My bot")
    credential_id = await drift(stage, clock)
    stage.receiver.status = 500
    for wait in (0, *BACK_OFF_SECONDS, 60):
        clock.advance(seconds=wait)
        await stage.run_round()
    assert stage.receiver.calls == MOST_TRIES
    assert await stage.list_deliveries() == [("dead", MOST_TRIES, "It answered 500.")]
    assert await stage.list_alerts() == [("withdraw_gained", "began"), ("channel_failed", "happened")]
    stage.set_rights(READ, TRADE)
    await stage.check(credential_id)
    for wait in (60, *BACK_OFF_SECONDS, 60):
        clock.advance(seconds=wait)
        await stage.run_round()
    assert [kind for kind, _ in await stage.list_alerts()].count("channel_failed") == 1, "once while it lasts"
    async with stage.channels() as channels:
        (channel,) = await channels.list_all(stage.principal)
        assert channel.failure == "It answered 500."
    stage.receiver.status = 204
    async with stage.channels() as channels:
        assert (await channels.test(stage.principal, channel.id)).is_sent
    async with stage.channels() as channels:
        (channel,) = await channels.list_all(stage.principal)
    assert channel.failure is None


async def test_gone_is_gone(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    await drift(stage, clock)
    stage.receiver.status = 410
    await stage.run_round()
    assert await stage.list_deliveries() == [("dead", 1, "It answered 410.")]


class Crash(BaseException):
    """The process is gone: nothing after this line runs."""


class CrashingSender:
    """Sends, and is killed before anybody can write that down."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, outgoing: Outgoing, address: Address, *, at: Any) -> str:
        await self._sender.send(outgoing, address, at=at)
        raise Crash


async def test_a_crash_between_sending_and_marking_loses_nothing(stage: AlertStage, clock: FakeClock) -> None:
    """At least once: the same alert comes twice, under the same id."""
    await stage.add_webhook()
    await drift(stage, clock)
    await stage.state.alerts._fan_out()
    outlets = stage.state.outlets
    crashing = Deliverer(
        stage.state.database,
        vault=stage.state.vault,
        exchanges=stage.state.exchanges,
        outlets=type(outlets)({"webhook": CrashingSender(outlets.senders["webhook"])}, outlets.public_url),
        clock=clock,
    )
    with contextlib.suppress(Crash):
        await crashing.deliver_due()
    assert len(stage.receiver.ids) == 1
    assert await stage.list_deliveries() == [("waiting", 0, None)]
    clock.advance(seconds=90)
    await stage.run_round()
    assert len(stage.receiver.ids) == 1, "its mark still stands"
    clock.advance(seconds=31)
    await stage.run_round()
    assert len(stage.receiver.ids) == 2
    assert len(set(stage.receiver.ids)) == 1
    assert await stage.list_deliveries() == [("sent", 1, "Answered 204")]


async def test_several_processes_send_once(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    await drift(stage, clock)
    await asyncio.gather(*[stage.run_round() for _ in range(5)])
    await stage.run_round()
    assert len(stage.receiver.ids) == 1
    assert await stage.list_alerts() == [("withdraw_gained", "began")]


async def test_a_late_mark_of_a_lost_claim_changes_nothing(stage: AlertStage, clock: FakeClock) -> None:
    """A process that was stopped for longer than its claim lasts finds that another one has sent."""
    await stage.add_webhook()
    await drift(stage, clock)
    await stage.state.alerts._fan_out()
    slow: Deliverer = stage.state.alerts._deliverer
    (claim,) = await slow._claim()
    async with stage.state.database.read() as session:
        found = await slow._pack(session, claim)
    assert found.parcel is not None
    clock.advance(minutes=3)
    await stage.run_round()
    outcome = await slow._send(found.parcel)
    stage.receiver.status = 500
    async with stage.state.database.write() as session:
        await slow._mark(session, claim, found, type(outcome)("too late", is_sent=False))
    assert await stage.list_deliveries() == [("sent", 1, "Answered 204")]


async def test_only_what_was_chosen_is_sent_and_quiet_hours_hold_what_may_wait(stage: AlertStage, clock: FakeClock) -> None:
    added = await stage.add_webhook()
    async with stage.channels() as channels:
        await channels.change(
            stage.principal, added.channel.id, name="Hook", events=["expiring", "withdraw_gained"], shows_labels=False
        )
    await stage.execute("UPDATE alert_preferences SET quiet_from = 720, quiet_to = 900")  # 12:00 to 15:00 UTC
    ending = await stage.connect("htx", "expiring", label="Ending")
    await stage.execute("UPDATE credential_watch SET conditions = '{}'")
    await drift(stage, clock)
    await stage.check(ending.id)
    await stage.run_round()
    assert stage.receiver.titles == ["A key at HTX can withdraw now"], "urgent ones pass"
    assert {row[0] for row in await stage.list_deliveries()} == {"sent", "waiting"}
    clock.now = clock.now.replace(hour=15, minute=0)
    await stage.run_round()
    assert stage.receiver.titles[1:] == ["A key at HTX ends in 7 days"]
    assert (
        "switches off keys that are not bound to an address after 90 days" in stage.receiver.documents[1]["alerts"][0]["detail"]
    )


async def lose_trade(stage: AlertStage, clock: FakeClock, *, quiet_from: int) -> str:
    """Let a key lose a right at 12:15, of which the alert may wait, with quiet hours from so many minutes after noon to 15:00."""
    await stage.add_webhook()
    await stage.execute(f"UPDATE alert_preferences SET quiet_from = {720 + quiet_from}, quiet_to = 900")
    view = await stage.connect("htx", "read-trade", label="Main")
    stage.set_rights(READ)
    clock.advance(minutes=15)
    await stage.check(view.id)
    return view.id


async def test_a_failed_one_is_not_tried_again_within_quiet_hours(stage: AlertStage, clock: FakeClock) -> None:
    await lose_trade(stage, clock, quiet_from=17)
    stage.receiver.status = 503
    await stage.run_round()
    clock.advance(seconds=BACK_OFF_SECONDS[0])
    await stage.run_round()
    assert stage.receiver.calls == 2, "12:15 and 12:16"
    stage.receiver.status = 204
    for _ in range(15):
        clock.advance(minutes=10)
        await stage.run_round()
    assert stage.receiver.calls == 2
    clock.now = clock.now.replace(hour=15, minute=0)
    await stage.run_round()
    assert ("sent", 3, "Answered 204") in await stage.list_deliveries()


async def test_one_that_its_turn_made_late_waits_for_the_end_of_quiet_hours(stage: AlertStage, clock: FakeClock) -> None:
    """What was due before them and could not be sent before them: the channel had its message of that minute."""
    credential_id = await lose_trade(stage, clock, quiet_from=16)
    await stage.run_round()
    assert stage.receiver.titles == ["Main at HTX has lost Trade"]
    clock.advance(seconds=30)
    stage.set_rights(READ, TRADE)
    await stage.check(credential_id)
    await stage.run_round()
    clock.advance(minutes=1)
    await stage.run_round()
    assert len(stage.receiver.titles) == 1
    stage.set_rights(READ, TRADE, WITHDRAW)
    await stage.check(credential_id)
    await stage.run_round()
    assert stage.receiver.titles[1:] == ["Main at HTX can withdraw now"], "what may not wait is held up by nothing"
    clock.now = clock.now.replace(hour=15, minute=0)
    await stage.run_round()
    assert stage.receiver.titles[2:] == ["Main at HTX has all the rights it needs again"]


async def test_nothing_goes_to_a_disabled_person_and_nothing_old_once_they_are_back(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    credential_id = await drift(stage, clock)
    stage.receiver.status = 503
    await stage.run_round()
    assert await stage.list_deliveries() == [("waiting", 1, "It answered 503.")]
    stage.receiver.status = 204
    await stage.execute("UPDATE users SET disabled_at = created_at")
    await stage.run_round()
    assert await stage.list_deliveries() == [("dropped", 1, "The account was disabled.")], "also what was not due yet"
    assert await stage.state.alerts._deliverer._claim() == [], "nobody looks at the channel any more"
    await stage.execute("UPDATE users SET disabled_at = NULL")
    clock.advance(minutes=30)
    await stage.run_round()
    assert stage.receiver.calls == 1
    stage.set_rights(READ, TRADE)
    await stage.check(credential_id)
    await stage.run_round()
    assert stage.receiver.titles[-1:] == ["Main at HTX cannot withdraw any more"], "what is new is told"


async def test_a_stopped_process_begins_nothing_and_leaves_everything_to_others(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    await drift(stage, clock)
    stage.state.alerts.stop()
    await stage.run_round()
    await stage.state.alerts._deliverer.deliver_due()
    assert (stage.receiver.calls, await stage.list_alerts()) == (0, [])


async def test_old_alerts_are_erased(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    credential_id = await drift(stage, clock)
    await stage.run_round()
    clock.now += timedelta(days=91)
    stage.set_rights(READ, TRADE)
    await stage.check(credential_id)
    await stage.run_round()
    assert ("withdraw_gained", "began") not in await stage.list_alerts()
    assert ("withdraw_gained", "ended") in await stage.list_alerts()
