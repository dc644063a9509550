"""From the exchange's change to everybody who is told: quarantine, status, alert on all channels, and word when it is over."""

from app.alerts.delivery import Deliverer
from app.alerts.rounds import AlertRounds
from app.credentials.background import BackgroundChecks
from app.credentials.views import Status
from app.worker import Worker
from tests.alerts.stage import READ, TELEGRAM_TOKEN, TRADE, WITHDRAW, AlertStage
from tests.conftest import FakeClock


async def test_drift_is_told_on_every_channel_within_one_cycle(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    await stage.add("email")
    await stage.add("telegram", token=TELEGRAM_TOKEN, chat="-100123")
    view = await stage.connect("htx", "read-trade", label="Grid bot")
    await stage.run_round()
    assert stage.office.letters == []
    stage.set_rights(READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)  # one cycle
    assert (await stage.check(view.id)).status is Status.WITHDRAW_ENABLED
    await stage.run_round()
    title = "Grid bot at HTX can withdraw now"
    assert stage.subjects == [f"Keydeck: {title}"]
    assert stage.receiver.titles == [title]
    (chat,) = stage.chats
    assert TELEGRAM_TOKEN in chat["path"]
    assert title in chat["text"]
    letter = stage.office.letters[0].get_content()
    assert "Before: Read, Trade, Transfer. Now: Read, Trade, Transfer, Withdraw." in letter
    assert f"http://127.0.0.1:8000/credentials/{view.id}" in letter
    assert "21 Nov 2026, 12:15:00 UTC" in letter
    assert {row[2] for row in await stage.list_deliveries()} == {
        "Answered 204",
        "Taken by the mail server",
        "Taken by the service",
    }
    assert {row[:2] for row in await stage.list_deliveries()} == {("sent", 1)}
    for _ in range(3):
        clock.advance(minutes=15)
        await stage.check(view.id)
        await stage.run_round()
    assert len(stage.receiver.titles) == 1, "told once"
    stage.set_rights(READ, TRADE)
    clock.advance(minutes=15)
    assert (await stage.check(view.id)).status is Status.CONNECTED
    await stage.run_round()
    assert stage.receiver.titles[1:] == ["Grid bot at HTX cannot withdraw any more"]
    assert len(stage.subjects) == len(stage.chats) == 2
    assert await stage.list_alerts() == [("withdraw_gained", "began"), ("withdraw_gained", "ended")]


async def test_who_has_chosen_nothing_is_told_by_mail(stage: AlertStage, clock: FakeClock) -> None:
    view = await stage.connect("htx", "read-trade", label="Main")
    stage.set_rights(READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    await stage.check(view.id)
    await stage.run_round()
    assert stage.subjects == ["Keydeck: Main at HTX can withdraw now"]
    assert stage.office.letters[0]["To"] == "trader@example.org"


async def test_an_erased_key_is_told_of_no_more(stage: AlertStage, clock: FakeClock) -> None:
    view = await stage.connect("htx", "read-trade")
    stage.set_rights(READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    await stage.check(view.id)
    async with stage.work() as credentials:
        await credentials.disconnect(stage.principal, view.id)
    await stage.run_round()
    assert (stage.subjects, await stage.list_alerts()) == ([], [])


async def test_an_outage_of_many_keys_is_one_letter(stage: AlertStage, clock: FakeClock) -> None:
    await stage.add_webhook()
    await stage.add("email")
    await stage.add("other", url="tgram://" + TELEGRAM_TOKEN + "/-1")
    pairs = [
        (name, scenario) for name in ("hitbtc", "htx", "bitexbit") for scenario in ("read-only", "read-trade", "empty", "large")
    ]
    views = [await stage.connect(exchange, scenario) for exchange, scenario in pairs]
    clock.advance(minutes=70)
    await stage.run_round()
    assert len(stage.subjects) == len(stage.receiver.documents) == len(stage.chats) == 1
    assert stage.subjects[0].endswith(f", and {len(views) - 1} more")
    assert len(stage.receiver.titles) == len(views)
    letter = stage.office.letters[0].get_content()
    assert letter.count("has had no fresh balances for an hour") == len(views)
    assert len(stage.chats[0]["text"]) < 2000
    for view in views[:3]:
        await stage.check(view.id)
    await stage.run_round()
    assert len(stage.subjects) == 1, "the minute is not over"
    clock.advance(minutes=1)
    await stage.run_round()
    assert len(stage.subjects) == 2
    assert stage.office.letters[1].get_content().count("has fresh balances again") == 3


async def test_a_server_that_was_off_reads_balances_before_it_calls_them_old(stage: AlertStage, clock: FakeClock) -> None:
    view = await stage.connect("htx", "read-only")
    clock.advance(hours=8)
    state = stage.state
    deliverer = Deliverer(state.database, vault=state.vault, exchanges=state.exchanges, outlets=state.outlets, clock=clock)
    rounds = AlertRounds(state.database, deliverer=deliverer, clock=clock, mail_is_on=True)
    await rounds.run_round()
    await stage.check(view.id)
    clock.advance(minutes=1)
    await rounds.run_round()
    assert await stage.list_alerts() == []


async def test_the_background_work_catches_it_and_reads_no_balances_afterwards(stage: AlertStage, clock: FakeClock) -> None:
    """Nobody presses anything: the worker's own cycle, with its refreshes of balances between two checks."""
    state = stage.state
    checks = BackgroundChecks(state.database, vault=state.vault, exchanges=state.exchanges, settings=state.settings, clock=clock)
    worker = Worker(checks)
    await stage.add_webhook()
    view = await stage.connect("htx", "read-trade", label="Main")
    clock.advance(minutes=6)
    assert await worker.run_due() == 1, "balances alone"
    stage.set_rights(READ, TRADE, WITHDRAW)
    clock.advance(minutes=11)
    assert await worker.run_due() == 1
    await stage.run_round()
    assert stage.receiver.titles == ["Main at HTX can withdraw now"]
    calls = state.sandbox.state.sandbox.recorded_calls
    calls.clear()
    for _ in range(12):
        clock.advance(minutes=5)
        await worker.run_due()
        await stage.run_round()
    asked = {path for *_, path in calls}
    assert asked, "its rights are still looked at"
    assert not [path for path in asked if "balance" in path or path.endswith("/accounts")]
    assert len(stage.receiver.titles) == 1, "and old balances of a key in quarantine are no news"
    stage.set_rights(READ, TRADE)
    clock.advance(minutes=17)
    await worker.run_due()
    await stage.run_round()
    assert stage.receiver.titles[1:] == ["Main at HTX cannot withdraw any more"]
    async with stage.work() as credentials:
        assert (await credentials.get(stage.principal, view.id)).balances.fetched_at == clock.now
