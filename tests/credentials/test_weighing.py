"""You or them, from what is stored: counts over other people's keys decide, and nothing else of them is ever shown."""

from datetime import timedelta
from typing import Any

import pytest

from app.credentials.connect import ConnectRefused
from app.credentials.models import Credential
from app.credentials.verdict import Whose
from app.credentials.views import CredentialView, Status
from app.exchanges.errors import InvalidKey, Unreachable
from tests.conftest import FakeClock
from tests.credentials.bench import Bench


async def add_others(app: Any, count: int, *, code: str, exchange: str = "hitbtc", minutes_ago: float = 5) -> None:
    """Let `count` other people hold keys at the same exchange whose newest check ended with this code."""
    at = app.state.clock() - timedelta(minutes=minutes_ago)
    for number in range(count):
        other = await Bench.open(app, f"other{number}-{exchange}-{code}@example.org")
        view = await other.connect(exchange, "read-only")
        async with app.state.database.write() as session:
            row = await session.get_one(Credential, view.id)
            row.checked_code, row.checked_at = code, at


async def fail(bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[Exception] = InvalidKey) -> CredentialView:
    """Connect a key, and let its next check fail with this error."""
    view = await bench.connect("hitbtc", "read-only")
    kind = type(bench.state.exchanges.open("hitbtc", view.environment, bench.key("hitbtc", "read-only").secrets, key_id="x"))

    async def refuse(self: object) -> None:
        raise error

    monkeypatch.setattr(kind, "check", refuse)
    return await bench.check(view.id)


async def get_verdict(bench: Bench, credential_id: str) -> tuple[str, str]:
    async with bench.work() as credentials:
        view = await credentials.get(bench.principal, credential_id)
    assert view.verdict is not None
    return view.verdict.whose.value, view.verdict.sentence


async def test_one_dead_key_among_working_ones_is_only_this_key(
    app: Any, bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = await fail(bench, monkeypatch)
    assert alone.status is Status.INVALID_KEY
    assert await get_verdict(bench, alone.id) == (
        "unclear",
        "Probably this key: HitBTC answers; no other key here to compare with.",
    )
    monkeypatch.undo()
    await add_others(app, 3, code="ok")
    await add_others(app, 2, code="ok", exchange="htx")
    assert await get_verdict(bench, alone.id) == ("only_this_key", "Only this key: 3 of 3 other HitBTC keys here work.")
    async with bench.work() as credentials:
        (case,) = await credentials.find_for_support("trader@example.org")
    assert case.verdict is not None
    assert case.reply.endswith("Other HitBTC keys here work.")
    repaired = await bench.check(alone.id)
    assert (repaired.status, repaired.verdict) == (Status.CONNECTED, None)


async def test_many_alike_are_everyone_and_old_checks_do_not_count(
    app: Any, bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_others(app, 4, code="invalid_key")
    await add_others(app, 4, code="maintenance", minutes_ago=45)
    failed = await fail(bench, monkeypatch)
    assert failed.verdict is not None
    assert failed.verdict.whose is Whose.EVERYONE_HERE
    assert "4 of 4 other keys" in failed.verdict.sentence
    clock.advance(minutes=40)
    assert await get_verdict(bench, failed.id) == (
        "unclear",
        "Probably this key: HitBTC answers; no other key here to compare with.",
    )


async def test_weather_is_weighed_too(app: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_others(app, 2, code="ok", exchange="htx")
    await add_others(app, 2, code="exchange_unavailable")
    failed = await fail(bench, monkeypatch, Unreachable)
    assert failed.verdict is not None
    assert failed.verdict.whose is Whose.EVERYONE_HERE


async def test_a_refused_connect_tells_it_as_well(app: Any, bench: Bench) -> None:
    await add_others(app, 1, code="ok")
    with pytest.raises(ConnectRefused) as refused:
        await bench.connect("hitbtc", "wrong-secret")
    assert refused.value.blame is not None
    assert refused.value.blame.sentence == "Only this key: the one other HitBTC key here works."
    with pytest.raises(ConnectRefused) as withdraws:
        await bench.connect("hitbtc", "withdraw-enabled")
    assert withdraws.value.blame is None
    await bench.connect("hitbtc", "read-trade")
