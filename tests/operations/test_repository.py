"""Counts over all users are right on both databases, and name no person."""

from datetime import timedelta

from app.credentials.models import Credential
from app.db import Database
from app.operations import repository
from app.operations.repository import DueCount
from tests.operations.rows import NOW, add_check, add_credential, add_user


async def test_checks_are_counted_by_exchange_and_code_within_the_time_asked(database: Database) -> None:
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        htx, hitbtc = add_credential(session, user_id), add_credential(session, user_id, exchange="hitbtc")
        await session.flush()
        for minutes, code in ((1, "ok"), (2, "ok"), (3, "unreachable"), (61, "ok")):
            await add_check(session, htx, code=code, at=NOW - timedelta(minutes=minutes))
        await add_check(session, hitbtc, code="invalid_key", at=NOW)
    async with database.read() as session:
        found = await repository.count_checks(session, since=NOW - timedelta(hours=1))
    assert [(row.exchange, row.code, row.count) for row in found] == [
        ("hitbtc", "invalid_key", 1),
        ("htx", "ok", 2),
        ("htx", "unreachable", 1),
    ]
    assert found[1].newest_at == NOW - timedelta(minutes=1)


async def test_credentials_are_counted_by_their_newest_check(database: Database) -> None:
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        for codes, paused in ((("ok", "invalid_key"), False), (("invalid_key", "ok"), False), (("ok", "ok"), True), ((), False)):
            credential_id = add_credential(session, user_id, paused=paused)
            await session.flush()
            for minutes, code in enumerate(codes):
                await add_check(session, credential_id, code=code, at=NOW + timedelta(minutes=minutes))
        other = add_credential(session, user_id, exchange="hitbtc")
        await session.flush()
        await add_check(session, other, code="ok", at=NOW)
    async with database.read() as session:
        found = await repository.count_credentials(session)
    expected = [("hitbtc", "ok", 1), ("htx", "invalid_key", 1), ("htx", "ok", 1), ("htx", "paused", 1), ("htx", "unchecked", 1)]
    assert [(row.exchange, row.code, row.count) for row in found] == expected


async def test_secrets_are_counted_by_kid(database: Database) -> None:
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        for kid in ("k2026a", "k2026a", "k2026b"):
            add_credential(session, user_id, kid=kid)
    async with database.read() as session:
        assert await repository.count_secrets_by_kid(session) == {"k2026a": 2, "k2026b": 1}


async def test_due_checks_are_counted_with_the_longest_due(database: Database) -> None:
    async with database.write() as session:
        user_id = add_user(session)
        await session.flush()
        for minutes, paused in ((-3, False), (-1, False), (1, False), (-9, True)):
            credential_id = add_credential(session, user_id, paused=paused)
            await session.flush()
            credential = await session.get_one(Credential, credential_id)
            credential.next_check_at = NOW + timedelta(minutes=minutes)
    async with database.read() as session:
        assert await repository.count_due(session, now=NOW) == DueCount(2, NOW - timedelta(minutes=3))
        assert await repository.count_due(session, now=NOW - timedelta(hours=1)) == DueCount(0, None)
