"""The transaction rule: writers queue instead of failing, a commit precedes its answer, and no write waits on the network."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app.accounts.models import User
from app.credentials.models import CredentialBalances
from app.db import Database, SessionDep, release
from app.masking import Secret
from tests.databases import copy_sqlite

MOMENT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
USER = {"id": "usr_1", "email": "1@example.org", "password_hash": "0", "roles": [], "created_at": MOMENT, "disabled_at": None}


def make_user(number: int, *, created_at: datetime = MOMENT) -> User:
    return User(**{**USER, "id": f"usr_{number}", "email": f"{number}@example.org", "created_at": created_at})


async def count_users(database: Database) -> int:
    async with database.read() as session:
        return len((await session.execute(select(User.id))).all())


@pytest.fixture
async def sqlite(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """For what is about SQLite alone."""
    opened = Database(copy_sqlite(sqlite_template, tmp_path / "alone.db"))
    yield opened
    await opened.aclose()


async def test_concurrent_writers_lose_nothing_and_are_never_locked_out(database: Database) -> None:
    """Eight writers, fifty read-modify-write units each: the count is exact."""
    async with database.write() as session:
        session.add(make_user(1))

    async def increment(times: int) -> None:
        for _ in range(times):
            async with database.write() as session:
                statement = select(User).where(User.id == "usr_1").with_for_update()
                user = (await session.execute(statement)).scalar_one()
                user.password_hash = str(int(user.password_hash) + 1)

    await asyncio.gather(*(increment(50) for _ in range(8)))
    async with database.read() as session:
        assert (await session.get_one(User, "usr_1")).password_hash == "400"


async def test_every_sqlite_connection_has_its_pragmas(sqlite: Database) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 10_000}
    async with sqlite.read() as first, sqlite.write() as second, sqlite.connect() as third:
        for one in (first, second, third):
            assert {name: (await one.execute(text(f"PRAGMA {name}"))).scalar_one() for name in expected} == expected


async def test_a_writing_transaction_is_immediate_and_a_reading_one_is_not(sqlite: Database) -> None:
    """While one writes, readers read what was there before, and a second writer waits."""
    async with sqlite.write() as writer:
        await writer.execute(select(User.id))  # the first statement takes the write lock, though it only reads
        assert await count_users(sqlite) == 0
        waiting = asyncio.create_task(add_user(sqlite, 2))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        writer.add(make_user(1))
    await waiting
    assert await count_users(sqlite) == 2


async def add_user(database: Database, number: int) -> None:
    async with database.write() as session:
        session.add(make_user(number))


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError])
async def test_a_failed_unit_leaves_nothing(database: Database, failure: type[BaseException]) -> None:
    async def fail() -> None:
        async with database.write() as session:
            session.add(make_user(1))
            await session.flush()
            raise failure

    with pytest.raises(failure):
        await fail()
    assert await count_users(database) == 0


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            session.add(CredentialBalances(credential_id="crd_none"))


async def test_naive_moments_are_refused(database: Database) -> None:
    with pytest.raises(Exception, match="a moment must be aware"):
        async with database.write() as session:
            session.add(make_user(1, created_at=datetime(2026, 11, 21, 12, 0)))  # noqa: DTZ001
    assert await count_users(database) == 0


async def test_moments_come_back_as_aware_utc(database: Database) -> None:
    elsewhere = timezone(timedelta(hours=9))
    async with database.write() as session:
        session.add(make_user(1, created_at=datetime(2026, 11, 21, 21, 0, 0, 123456, tzinfo=elsewhere)))
    async with database.read() as session:
        stored = (await session.execute(select(User.created_at))).scalar_one()
    assert stored == datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
    assert stored.tzinfo is UTC


WRITES: list[Any] = [
    insert(User).values({**USER, "id": "usr_2", "email": "2@example.org"}),
    update(User).values(email="x@example.org"),
    delete(User),
    text("UPDATE users SET email = 'x@example.org'"),
    text("  delete from users"),
    text("WITH gone AS (SELECT id FROM users) DELETE FROM users WHERE id IN (SELECT id FROM gone)"),
    text("CREATE TABLE note (id INTEGER)"),
]
READS: list[Any] = [
    select(User),
    select(User.id).with_for_update(),
    select(select(User.id).cte("chosen")),
    text("WITH chosen AS (SELECT id FROM users) SELECT * FROM chosen"),
    text("select 1"),
]


@pytest.mark.parametrize("statement", WRITES, ids=str)
async def test_nothing_written_waits_on_the_network(database: Database, statement: Any) -> None:
    async with database.write() as session:
        await session.execute(statement)
        with pytest.raises(RuntimeError, match="must not wait on the network"):
            await release(session)


async def test_unflushed_and_flushed_objects_count_as_written(database: Database) -> None:
    await add_user(database, 1)
    async with database.write() as session:
        session.add(make_user(2))
        with pytest.raises(RuntimeError, match="must not wait"):
            await release(session)
        await session.flush()
        with pytest.raises(RuntimeError, match="must not wait"):
            await release(session)
    async with database.write() as session:
        (await session.get_one(User, "usr_1")).email = "x@example.org"
        with pytest.raises(RuntimeError, match="must not wait"):
            await release(session)
    assert await count_users(database) == 2


async def test_a_released_unit_holds_no_transaction_and_may_write_afterwards(database: Database) -> None:
    async with database.write() as session:
        for statement in READS:
            await session.execute(statement)
        await release(session)
        assert not session.in_transaction()
        await add_user(database, 1)  # another writer gets through at once
        session.add(make_user(2))
    assert await count_users(database) == 2


async def test_what_one_unit_wrote_is_forgotten_by_the_next_on_its_connection(database: Database) -> None:
    await add_user(database, 1)
    async with database.write() as session:
        await session.execute(select(User))
        await release(session)
        await session.execute(update(User).values(email="x@example.org"))
        await session.commit()
        await session.execute(select(User))
        await release(session)


async def test_after_release_the_newest_state_is_read(database: Database) -> None:
    await add_user(database, 1)
    async with database.write() as session:
        await session.get_one(User, "usr_1")
        await release(session)
        async with database.write() as other:
            await other.execute(update(User).values(email="new@example.org"))
        assert (await session.get_one(User, "usr_1", populate_existing=True)).email == "new@example.org"


@pytest.mark.parametrize("statement", WRITES, ids=str)
async def test_a_reading_session_cannot_write_unnoticed(database: Database, statement: Any) -> None:
    async with database.read() as session:
        with pytest.raises(RuntimeError, match="a reading session cannot write"):
            await session.execute(statement)


async def test_the_commit_comes_before_the_answer(database: Database) -> None:
    """The moment the first byte of an answer leaves, another connection sees the row."""
    seen: list[int] = []
    app = make_app(database)

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        async def watch(message: Any) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                seen.append(await count_users(database))
            await send(message)

        await app(scope, receive, watch)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=watching), base_url="http://test") as client:
        for number in range(1, 11):
            async with client.stream("POST", f"/users/{number}") as answer:
                assert answer.status_code == 303  # only the headers have been read
                follow = await client.get(answer.headers["Location"])
            assert follow.json() == {"email": f"{number}@example.org"}
    assert seen == list(range(1, 11))


async def test_a_failed_request_commits_nothing(database: Database) -> None:
    transport = httpx.ASGITransport(app=make_app(database), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/users/13")).status_code == 500
    assert await count_users(database) == 0


def make_app(database: Database) -> FastAPI:
    app = FastAPI()
    app.state.database = database

    @app.post("/users/{number}", status_code=303)
    async def create(number: int, session: SessionDep) -> Any:
        async def body() -> AsyncIterator[bytes]:
            yield b"made"

        session.add(make_user(number))
        if number == 13:
            await session.flush()
            raise ValueError
        return StreamingResponse(body(), status_code=303, headers={"Location": f"/users/{number}"})

    @app.get("/users/{number}")
    async def show(number: int, session: SessionDep) -> dict[str, str]:
        return {"email": (await session.get_one(User, f"usr_{number}")).email}

    return app


async def test_a_url_is_never_shown() -> None:
    """An engine that cannot connect names no password."""
    dead = Database(Secret("postgresql+psycopg://keydeck:hunter2@127.0.0.1:1/keydeck"))
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await count_users(dead)
    await dead.aclose()
    assert "hunter2" not in str(caught.value) + repr(dead.engine)
