"""Credentials against the sandbox, without a mock of our own code: every key's verdict, and what is left behind."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.credentials import status
from app.credentials.connect import ConnectRefused
from app.credentials.rehearsal import Played, Server, play
from app.credentials.views import Status
from app.exchanges.errors import Unreachable
from app.exchanges.registry import find_adapters
from app.exchanges.types import Answer, Permission, ProbePolicy, Proof
from app.masking import Secret
from app.sandbox.keys import list_keys
from app.web.errors import NotFound
from tests.conftest import FakeClock
from tests.credentials.bench import Bench, final_states

KEYS = [(key.exchange, key.scenario) for key in list_keys()]


@pytest.mark.parametrize(("exchange", "scenario"), KEYS, ids=lambda part: part)
async def test_every_sandbox_key_gives_what_it_promises(bench: Bench, exchange: str, scenario: str) -> None:
    key = bench.key(exchange, scenario)
    server = Server(clock=bench.state.clock, egress=bench.state.settings.egress_addresses)
    rehearsed = await play(find_adapters()[exchange], key, probes=ProbePolicy.HARMLESS, server=server)
    before = await bench.dump()
    if key.stored:
        view = await bench.connect(exchange, scenario)
        assert (view.status.value, view.advice.code if view.advice else None) == (key.status, key.code)
        assert rehearsed == Played(key, view.status, view.advice, stored=True, notices=view.notices)
        async with bench.work() as credentials:
            assert [one.id for one in await credentials.list_all(bench.principal)] == [view.id]
    else:
        with pytest.raises(ConnectRefused) as refused:
            await bench.connect(exchange, scenario)
        assert refused.value.status is not None
        assert (refused.value.status.value, refused.value.advice.code) == (key.status, key.code)
        assert rehearsed == Played(key, refused.value.status, refused.value.advice, stored=False)
        assert await bench.dump() == before, "a refused key leaves nothing behind"
        fine = await bench.connect(exchange, "read-only")
        assert fine.status is Status.CONNECTED


class TestAllProbes:
    """With the setting `all` the withdrawal right is known everywhere."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"probes": "all"})

    @pytest.mark.parametrize(("exchange", "scenario"), KEYS, ids=lambda part: part)
    async def test_every_sandbox_key_gives_what_it_promises(self, bench: Bench, exchange: str, scenario: str) -> None:
        expected = {(key.exchange, key.scenario): key for key in list_keys(ProbePolicy.ALL)}[exchange, scenario]
        try:
            view = await bench.connect(exchange, scenario)
            found = (view.status.value, view.advice.code if view.advice else None, True)
        except ConnectRefused as refused:
            found = (refused.status.value if refused.status else None, refused.advice.code, False)
        assert found == (expected.status, expected.code, expected.stored)


async def test_steps_are_told_in_order_and_a_failure_skips_the_rest(bench: Bench) -> None:
    await bench.connect("hitbtc", "read-only")
    told = [step.name.value for step in bench.steps if step.state.value in ("passed", "warned")]
    assert told == ["format", "reachable", "clock", "signature", "permissions", "withdrawal", "balances"]
    with pytest.raises(ConnectRefused) as refused:
        await bench.connect("hitbtc", "wrong-secret")
    assert final_states(bench.steps) == ["passed", "passed", "passed", "failed", "skipped", "skipped", "skipped"]
    assert [step.state.value for step in refused.value.steps] == final_states(bench.steps)
    assert refused.value.advice.field == "secret_key"


async def test_the_withdrawal_step_stops_a_key_that_may_withdraw(bench: Bench) -> None:
    with pytest.raises(ConnectRefused) as refused:
        await bench.connect("htx", "withdraw-enabled")
    assert final_states(bench.steps)[-2:] == ["failed", "skipped"]
    assert refused.value.grants[Permission.WITHDRAW].answer is Answer.YES
    assert "Withdraw" in refused.value.advice.remedy


async def test_the_same_key_twice_is_refused_before_any_call(bench: Bench, app: Any) -> None:
    first = await bench.connect()
    calls = len(app.state.sandbox.state.sandbox.recorded_calls)
    before = await bench.dump()
    with pytest.raises(ConnectRefused) as refused:
        await bench.connect(label="Again")
    assert (refused.value.advice.code, refused.value.existing_id) == ("duplicate_key", first.id)
    assert len(app.state.sandbox.state.sandbox.recorded_calls) == calls
    assert await bench.dump() == before
    assert (await bench.connect("hitbtc", "read-trade")).label == "HitBTC 2"


async def test_the_same_key_twice_at_once_is_stored_once(bench: Bench) -> None:
    results = await asyncio.gather(*(bench.connect() for _ in range(3)), return_exceptions=True)
    stored = [one for one in results if not isinstance(one, BaseException)]
    refused = [one for one in results if isinstance(one, ConnectRefused)]
    assert len(stored) == 1
    assert [(one.advice.code, one.existing_id) for one in refused] == [("duplicate_key", stored[0].id)] * 2


async def test_another_users_same_key_is_stored_and_noted_for_operators(bench: Bench, app: Any) -> None:
    await bench.connect()
    other = await Bench.open(app, "second@example.org")
    view = await other.connect()
    events = [row for row in (await bench.dump())["audit_events"] if "credential.shared_key" in row]
    assert view.status is Status.CONNECTED
    assert len(events) == 1
    assert bench.principal.user_id not in events[0]
    assert other.principal.user_id not in events[0], "neither user is told"


async def test_no_connection_is_held_while_the_exchange_is_asked(bench: Bench, app: Any) -> None:
    held: list[int] = []
    pool = app.state.database.engine.pool
    send = app.state.exchanges._http.send

    async def watch(*given: Any, **named: Any) -> Any:
        held.append(pool.checkedout())
        return await send(*given, **named)

    app.state.exchanges._http.send = watch
    view = await bench.connect()
    await bench.check(view.id)
    await bench.replace(view.id, bench.key("hitbtc", "read-trade"))
    assert len(held) > 10
    assert set(held) == {0}


async def test_weather_during_the_balances_stores_the_key_and_no_zero(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(bench.state.exchanges.open("hitbtc", _sandbox(bench), _secrets(bench), key_id="x"))
    monkeypatch.setattr(kind, "fetch_balances", _fail)
    view = await bench.connect()
    assert view.status is Status.CONNECTED
    assert view.balances.sheet is None
    assert view.balances.failure_code == "unreachable"
    assert final_states(bench.steps)[-1] == "warned"
    monkeypatch.undo()
    repaired = await bench.check(view.id)
    assert repaired.balances.sheet is not None
    assert repaired.balances.sheet.balances
    assert repaired.balances.failure_code is None


async def test_weather_keeps_rights_and_balances(bench: Bench, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    view = await bench.connect()
    kind = type(bench.state.exchanges.open("hitbtc", _sandbox(bench), _secrets(bench), key_id="x"))
    monkeypatch.setattr(kind, "read_clock", _fail)
    clock.advance(minutes=10)
    down = await bench.check(view.id)
    assert (down.status, down.advice.code if down.advice else None) == (Status.UNAVAILABLE, "unreachable")
    assert down.grants == view.grants
    assert down.balances.sheet == view.balances.sheet
    assert down.balances.fetched_at == view.balances.fetched_at
    assert down.balances.failed_at == clock.now
    monkeypatch.undo()
    assert (await bench.check(view.id)).status is Status.CONNECTED


async def test_an_adapters_own_fault_is_ours_and_shows_no_text(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kind = type(bench.state.exchanges.open("hitbtc", _sandbox(bench), _secrets(bench), key_id="x"))

    async def stumble(self: Any) -> Any:
        raise KeyError(bench.key("hitbtc", "read-only").secrets["secret_key"].reveal())

    monkeypatch.setattr(kind, "check", stumble)
    with pytest.raises(ConnectRefused) as refused:
        await bench.connect()
    assert (refused.value.advice.code, refused.value.status) == ("internal", Status.UNAVAILABLE)
    assert bench.key("hitbtc", "read-only").secrets["secret_key"].reveal() not in caplog.text
    monkeypatch.undo()
    assert (await bench.connect()).status is Status.CONNECTED


async def test_drifting_key_becomes_withdraw_enabled_and_is_asked_nothing_further(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "drifting")
    for _ in range(20):
        clock.advance(minutes=1)
        view = await bench.check(view.id)
        if view.status is not Status.CONNECTED:
            break
    assert view.status is Status.WITHDRAW_ENABLED
    assert view.balances.sheet is not None
    async with bench.work() as credentials:
        checks = await credentials.list_checks(bench.principal, view.id)
    assert checks[0].code == "withdraw_enabled"
    assert checks[0].steps[-1].state.value == "skipped"


async def test_attestation_is_shown_as_the_traders_word(bench: Bench) -> None:
    view = await bench.connect("bitexbit", "read-only", attested=True)
    grant = view.grants[Permission.WITHDRAW]
    assert (grant.answer, grant.proof) == (Answer.NO, Proof.ATTESTED)
    assert view.advice is not None
    assert view.advice.code == "withdraw_unverified"
    assert (await bench.check(view.id)).grants[Permission.WITHDRAW].proof is Proof.ATTESTED


async def test_a_waiting_key_becomes_limited_after_a_day(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("hitbtc", "waiting")
    assert view.status is Status.WAITING
    clock.now += status.CONFIRMATION_TIME + timedelta(minutes=1)
    async with bench.work() as credentials:
        assert (await credentials.get(bench.principal, view.id)).status in (Status.LIMITED, Status.WAITING)


async def test_unknown_and_foreign_ids_are_the_same(bench: Bench, app: Any) -> None:
    view = await bench.connect()
    stranger = await Bench.open(app, "second@example.org")
    for credential_id in (view.id, "crd_unknown"):
        async with stranger.work() as credentials:
            for deed in (
                credentials.get(stranger.principal, credential_id),
                credentials.check(stranger.principal, credential_id),
                credentials.replace(stranger.principal, credential_id, {"api_key": Secret("x" * 32)}),
                credentials.update(stranger.principal, credential_id, label="Mine"),
                credentials.disconnect(stranger.principal, credential_id),
                credentials.list_checks(stranger.principal, credential_id),
            ):
                with pytest.raises(NotFound):
                    await deed
    async with bench.work() as credentials:
        assert (await credentials.get(bench.principal, view.id)).label == view.label


def _sandbox(bench: Bench) -> Any:
    return bench.state.exchanges.list_environments("hitbtc")[-1]


def _secrets(bench: Bench) -> Any:
    return bench.key("hitbtc", "read-only").secrets


async def _fail(self: Any) -> Any:
    raise Unreachable(call="GET /anything")
