"""Re-check, replace, rename, pause and disconnect; what crashes and lost keys leave; what support finds."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from app.credentials.bookkeeping import KEPT_CHECKS
from app.credentials.connect import ConnectRefused
from app.credentials.views import Status
from app.exchanges.errors import InvalidKey
from app.exchanges.types import AccessPlan
from app.masking import Secret
from app.web.errors import NotFound, Problem
from tests.conftest import FakeClock
from tests.credentials.bench import Bench


async def test_replace_keeps_the_old_key_until_the_new_one_passes(bench: Bench) -> None:
    view = await bench.connect("hitbtc", "read-only", label="Main")
    before = await bench.dump()
    with pytest.raises(ConnectRefused) as refused:
        await bench.replace(view.id, bench.key("hitbtc", "wrong-secret"))
    assert refused.value.advice.code == "bad_signature"
    assert await bench.dump() == before
    new = await bench.replace(view.id, bench.key("hitbtc", "read-trade"))
    assert (new.id, new.label, new.status) == (view.id, "Main", Status.CONNECTED)
    assert new.fingerprint != view.fingerprint
    after = await bench.dump()
    assert len(after["credential_secrets"]) == 1
    assert after["credential_secrets"] != before["credential_secrets"]
    assert (await bench.check(view.id)).status is Status.CONNECTED


async def test_replace_by_the_same_key_is_allowed_and_by_another_credentials_key_is_not(bench: Bench) -> None:
    first = await bench.connect("hitbtc", "read-only")
    second = await bench.connect("hitbtc", "read-trade", plan="balances")
    assert (await bench.replace(first.id, bench.key("hitbtc", "read-only"))).status is Status.CONNECTED
    with pytest.raises(ConnectRefused) as refused:
        await bench.replace(first.id, bench.key("hitbtc", "read-trade"))
    assert (refused.value.advice.code, refused.value.existing_id) == ("duplicate_key", second.id)


async def test_replace_by_another_accounts_key_is_refused(bench: Bench) -> None:
    view = await bench.connect("htx", "read-only")
    assert view.account_id is not None
    before = await bench.dump()
    with pytest.raises(ConnectRefused) as refused:
        await bench.replace(view.id, bench.key("htx", "empty"))
    assert refused.value.advice.code == "other_account"
    assert await bench.dump() == before
    await bench.connect("htx", "empty")


async def test_rename_plan_and_pause(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("hitbtc", "read-only", label="Main")
    async with bench.work() as credentials:
        renamed = await credentials.update(bench.principal, view.id, label="  <b>Savings</b> ")
        assert renamed.label == "<b>Savings</b>"
        limited = await credentials.update(bench.principal, view.id, plan="trading")
        assert (limited.plan, limited.status) == (AccessPlan.TRADING, Status.WAITING)
        clock.advance(days=1, minutes=1)
        assert (await credentials.get(bench.principal, view.id)).status is Status.LIMITED
        await credentials.update(bench.principal, view.id, plan="balances")
        paused = await credentials.update(bench.principal, view.id, paused=True)
        assert (paused.status, paused.paused, paused.next_check_at) == (Status.PAUSED, True, None)
    checked = await bench.check(view.id)
    assert (checked.status, checked.next_check_at) == (Status.PAUSED, None)
    async with bench.work() as credentials:
        resumed = await credentials.update(bench.principal, view.id, paused=False)
        assert (resumed.status, resumed.next_check_at) == (Status.CONNECTED, clock.now)


@pytest.mark.parametrize("label", ["", "   ", "x" * 41, "tab\u0007bell", "\u202eevil"])
async def test_a_label_that_cannot_be_used_changes_nothing(bench: Bench, label: str) -> None:
    view = await bench.connect(label="Main")
    async with bench.work() as credentials:
        with pytest.raises(ConnectRefused) as refused:
            await credentials.update(bench.principal, view.id, label=label)
        assert (refused.value.advice.code, refused.value.advice.field) == ("invalid_input", "label")
    async with bench.work() as credentials:
        assert (await credentials.update(bench.principal, view.id, label="Spare")).label == "Spare"


async def test_a_rename_cannot_put_the_secret_into_the_label(bench: Bench) -> None:
    view = await bench.connect(label="Main")
    secret = bench.key("hitbtc", "read-only").secrets["secret_key"].reveal()
    async with bench.work() as credentials:
        with pytest.raises(ConnectRefused):
            await credentials.update(bench.principal, view.id, label=secret)
        with pytest.raises(ConnectRefused):
            await credentials.update(bench.principal, view.id, plan="everything")


async def test_disconnect_erases_all_but_the_event(bench: Bench) -> None:
    view = await bench.connect(label="Main")
    async with bench.work() as credentials:
        await credentials.disconnect(bench.principal, view.id)
    rows = await bench.dump()
    for table in ("credentials", "credential_secrets", "credential_checks", "credential_balances"):
        assert rows[table] == []
    assert [row for row in rows["audit_events"] if "credential.disconnected" in row]
    async with bench.work() as credentials:
        with pytest.raises(NotFound):
            await credentials.disconnect(bench.principal, view.id)
    assert (await bench.connect()).status is Status.CONNECTED


async def test_secrets_that_do_not_open_lock_the_credential_until_they_are_replaced(bench: Bench) -> None:
    view = await bench.connect()
    await bench.execute("UPDATE credential_secrets SET wrapped_key = :junk", junk=b"junk")
    locked = await bench.check(view.id)
    assert (locked.status, locked.advice.code if locked.advice else None) == (Status.LOCKED, "locked")
    assert locked.balances.sheet == view.balances.sheet
    async with bench.work() as credentials:
        assert (await credentials.update(bench.principal, view.id, label="Still renamable")).label == "Still renamable"
        assert (await credentials.list_checks(bench.principal, view.id))[0].code in ("locked", "ok")
    repaired = await bench.replace(view.id, bench.key("hitbtc", "read-only"))
    assert repaired.status is Status.CONNECTED


async def test_a_check_under_way_is_not_doubled_and_a_crashed_one_is_forgotten(bench: Bench, app: Any, clock: FakeClock) -> None:
    view = await bench.connect()
    await bench.execute("UPDATE credentials SET checking_since = :now", now=str(clock.now)[:19])
    calls = len(app.state.sandbox.state.sandbox.recorded_calls)
    busy = await bench.check(view.id)
    assert (busy.status, busy.checking) == (Status.CHECKING, True)
    assert len(app.state.sandbox.state.sandbox.recorded_calls) == calls
    clock.advance(minutes=3)
    async with bench.work() as credentials:
        assert (await credentials.get(bench.principal, view.id)).status is Status.CONNECTED
    assert (await bench.check(view.id)).checked_at == clock.now
    assert len(app.state.sandbox.state.sandbox.recorded_calls) > calls


async def test_a_key_removed_or_replaced_during_its_check_is_left_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await bench.connect()
    environment = view.environment
    kind = type(bench.state.exchanges.open("hitbtc", environment, bench.key("hitbtc", "read-only").secrets, key_id="x"))
    original = kind.fetch_balances

    async def replace_meanwhile(self: Any) -> Any:
        monkeypatch.setattr(kind, "fetch_balances", original)
        await bench.replace(view.id, bench.key("hitbtc", "read-trade"))
        return await original(self)

    monkeypatch.setattr(kind, "fetch_balances", replace_meanwhile)
    after = await bench.check(view.id)
    assert after.fingerprint != view.fingerprint
    async with bench.work() as credentials:
        assert {check.reason for check in await credentials.list_checks(bench.principal, view.id)} == {"connect", "replace"}

    async def disconnect_meanwhile(self: Any) -> Any:
        async with bench.work() as credentials:
            await credentials.disconnect(bench.principal, view.id)
        return await original(self)

    monkeypatch.setattr(kind, "fetch_balances", disconnect_meanwhile)
    with pytest.raises(NotFound):
        await bench.check(view.id)
    assert (await bench.dump())["credential_checks"] == []


async def test_the_history_is_paged_and_bounded(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect()
    for number in range(KEPT_CHECKS + 5):
        at = str(clock.now - timedelta(minutes=number + 1))[:19]
        await bench.execute(
            "INSERT INTO credential_checks (id, credential_id, reason, started_at, finished_at, code, told, steps, evidence) "
            "VALUES (:id, :credential, 'manual', :at, :at, 'unreachable', '', '[]', '[]')",
            id=f"chk_{number:03}", credential=view.id, at=at,
        )  # fmt: skip
    clock.advance(minutes=1)
    await bench.check(view.id)
    async with bench.work() as credentials:
        every = await credentials.list_checks(bench.principal, view.id, limit=1000)
        first = await credentials.list_checks(bench.principal, view.id, limit=3)
        second = await credentials.list_checks(bench.principal, view.id, limit=3, before=first[-1].id)
    assert len(every) == KEPT_CHECKS
    assert [check.id for check in every[:6]] == [check.id for check in (*first, *second)]
    assert [check.code for check in every[:2]] == ["ok", "ok"]


async def test_an_exchange_taken_off_the_list_leaves_its_credentials_removable(bench: Bench) -> None:
    view = await bench.connect()
    bench.state.exchanges._kinds.pop("hitbtc")
    async with bench.work() as credentials:
        assert (await credentials.list_all(bench.principal))[0].exchange.slug == "hitbtc"
        with pytest.raises(Problem) as problem:
            await credentials.check(bench.principal, view.id)
        assert problem.value.code == "exchange_not_offered"
        await credentials.disconnect(bench.principal, view.id)


async def test_the_list_puts_the_most_severe_first(bench: Bench) -> None:
    fine = await bench.connect("hitbtc", "read-only")
    expiring = await bench.connect("htx", "expiring")
    async with bench.work() as credentials:
        assert [view.id for view in await credentials.list_all(bench.principal)] == [expiring.id, fine.id]


async def test_support_finds_by_email_or_id_and_sees_no_more_than_it_may(bench: Bench, app: Any) -> None:
    view = await bench.connect("hitbtc", "read-only", label="Private label")
    other = await Bench.open(app, "trader_2@example.org")
    await other.connect("htx", "expiring")
    async with bench.work() as credentials:
        for query in (view.id, "trader@example.org", " Trader@EXAMPLE.org ", "trader@"):
            assert [one.id for one in await credentials.find_for_support(query)] == [view.id]
        assert len(await credentials.find_for_support("tra")) == 2
        for query in ("", "tr", "%%%", "trader%", "___", "crd_unknown", "nobody@example.org", "hitbtc"):
            assert await credentials.find_for_support(query) == []
        found = (await credentials.find_for_support(view.id))[0]
    shown = repr(dataclasses.asdict(found))
    secrets = bench.key("hitbtc", "read-only").secrets.values()
    for hidden in (view.fingerprint, view.key_hint, "Private label", *(secret.reveal() for secret in secrets)):
        assert hidden not in shown
    assert found.status is Status.CONNECTED
    assert found.checks[0]["code"] == "ok"


async def test_secrets_rest_sealed_and_are_nowhere_else(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for exchange in ("hitbtc", "htx", "bitexbit"):
        view = await bench.connect(exchange, "read-only")
        await bench.check(view.id)
        with pytest.raises(ConnectRefused):
            await bench.connect(exchange, "wrong-secret")
    stored = repr(await bench.dump())
    for key in bench.state.sandbox_keys:
        for secret in key.secrets.values():
            assert secret.reveal() not in stored
            assert secret.reveal() not in caplog.text


async def test_an_exchange_that_repeats_the_secret_does_not_get_it_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await bench.connect()
    secret: Secret = bench.key("hitbtc", "read-only").secrets["secret_key"]
    kind = type(bench.state.exchanges.open("hitbtc", view.environment, bench.key("hitbtc", "read-only").secrets, key_id="x"))

    async def repeat(self: Any) -> Any:
        raise InvalidKey(f"unknown key {secret.reveal()}")

    monkeypatch.setattr(kind, "check", repeat)
    assert (await bench.check(view.id)).status is Status.INVALID_KEY
    stored = repr((await bench.dump())["credential_checks"])
    assert "unknown key" in stored
    assert secret.reveal() not in stored


async def test_the_policy_warn_stores_a_key_that_may_withdraw_and_says_so(bench: Bench) -> None:
    bench.state.settings = bench.state.settings.model_copy(update={"withdraw_policy": "warn"})
    view = await bench.connect("htx", "withdraw-enabled")
    assert view.status is Status.WITHDRAW_ENABLED
    assert view.balances.sheet is not None
    bench.state.settings = bench.state.settings.model_copy(update={"withdraw_policy": "refuse"})
    assert (await bench.check(view.id)).balances.failure_code == "withdraw_enabled"
