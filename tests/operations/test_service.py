"""The overview reads an exchange's health from its newest checks, and never blames it for a refused key."""

from datetime import UTC, datetime, timedelta

import pytest

from app.clock import Clock
from app.db import Database
from app.exchanges.errors import list_leaves
from app.operations.repository import CheckCount
from app.operations.service import Operations, Outlook, judge_exchange
from app.vault.keyring import KeyLine, KeyState
from tests.balances.views import make_exchange
from tests.operations.rows import NOW, add_check, add_credential, add_user


def make_counts(*rows: tuple[str, int, int]) -> list[CheckCount]:
    """Return counts from (code, count, minutes since the newest)."""
    return [CheckCount("hitbtc", code, count, NOW - timedelta(minutes=minutes)) for code, count, minutes in rows]


@pytest.mark.parametrize(
    ("rows", "outlook"),
    [
        ((), Outlook.QUIET),
        ((("ok", 3, 1),), Outlook.NORMAL),
        ((("invalid_key", 1, 1), ("unreachable", 9, 5)), Outlook.NORMAL),
        ((("ok", 50, 5), ("unreachable", 1, 1)), Outlook.NOT_ANSWERING),
        ((("maintenance", 1, 1),), Outlook.NOT_ANSWERING),
        ((("rate_limited", 1, 1),), Outlook.NOT_ANSWERING),
        ((("clock_skew", 1, 1), ("ok", 4, 9)), Outlook.OUR_FAULT),
        ((("internal", 1, 1),), Outlook.OUR_FAULT),
        ((("withdraw_enabled", 1, 1),), Outlook.NORMAL),
    ],
)
def test_the_newest_check_decides_the_outlook(rows: tuple[tuple[str, int, int], ...], outlook: Outlook) -> None:
    assert judge_exchange(make_exchange(), make_counts(*rows), credentials=1).outlook is outlook


@pytest.mark.parametrize("leaf", list_leaves(), ids=lambda leaf: leaf.__name__)
def test_every_code_is_counted_on_exactly_one_side(leaf: type) -> None:
    health = judge_exchange(make_exchange(), make_counts((leaf.code, 2, 1)), credentials=1)  # type: ignore[attr-defined]  # a leaf
    assert health.answered + health.unavailable + health.ours == health.checks == 2


async def test_the_overview_counts_keys_in_use_and_names_lost_ones(database: Database, clock: Clock) -> None:
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        for kid in ("k2026a", "k2026a", "k2025z"):
            credential_id = add_credential(session, user_id, exchange="hitbtc", kid=kid)
            await session.flush()
            await add_check(session, credential_id, code="ok", at=clock() - timedelta(minutes=2))
    line = KeyLine("k2026a", state=KeyState.ACTIVE, check="7f3a91c2", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    async with database.read() as session:
        overview = await Operations(session, clock=clock).describe([make_exchange(), make_exchange("htx", "HTX")], keys=[line])
    assert [(key.line.kid, key.credentials) for key in overview.keys] == [("k2026a", 2)]
    assert overview.lost_kids == {"k2025z": 1}
    assert (overview.credentials, overview.standing) == (3, {"ok": 3})
    assert [(health.exchange.slug, health.checks, health.outlook) for health in overview.exchanges] == [
        ("hitbtc", 3, Outlook.NORMAL),
        ("htx", 0, Outlook.QUIET),
    ]
