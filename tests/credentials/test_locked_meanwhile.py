"""Secrets that do not open say nothing of a key that was put in their place meanwhile."""

from app.credentials import repository
from app.credentials.background import BackgroundChecks
from app.credentials.questions import Questions
from app.credentials.schedule import SCHEDULED
from app.credentials.views import Status
from tests.conftest import FakeClock
from tests.credentials.bench import Bench


async def test_a_key_put_in_meanwhile_is_not_called_locked(bench: Bench, clock: FakeClock) -> None:
    state = bench.state
    parts = {"vault": state.vault, "exchanges": state.exchanges, "settings": state.settings, "clock": clock}
    view = await bench.connect("htx", "read-only")
    await bench.execute("UPDATE credential_secrets SET secret_version = 99")  # what a broken key ring comes to
    clock.advance(minutes=20)
    (claim,) = await BackgroundChecks(state.database, **parts).claim("htx/sandbox/0")
    async with state.database.read() as session:
        row = await repository.get_row(session, view.id, user_id=bench.principal.user_id)
        assert row is not None
        question = await Questions(session, **parts).prepare(row, duty=claim.duty, marked_at=claim.marked_at, reason=SCHEDULED)
    assert question.secrets is None
    await bench.execute("UPDATE credentials SET account_id = NULL")
    assert (await bench.replace(view.id, bench.key("htx", "read-trade"))).status is Status.CONNECTED
    async with state.database.write() as session:
        assert not await Questions(session, **parts).store(question, None)
    async with bench.work() as credentials:
        stored = await credentials.get(bench.principal, view.id)
    assert (stored.status, stored.next_check_at is not None) == (Status.CONNECTED, True)
