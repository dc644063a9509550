"""The database: engine, sessions, and the transaction rule. One request is one transaction.

SQLite (WAL, `synchronous=FULL`, `secure_delete`, foreign keys) by default, PostgreSQL by psycopg with the same code.
A writing transaction begins with BEGIN IMMEDIATE on SQLite: a deferred one fails at once with "database is locked".
No transaction waits on the network: a service calls `release` before it asks an exchange.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Connection, DateTime, Dialect, MetaData, TypeDecorator, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session

from app.clock import as_utc
from app.masking import Secret

_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_UNIT = "keydeck_unit"  # execution option: which kind of session a connection serves
_WROTE = "keydeck_wrote"  # connection info: this transaction has changed something
_READING = re.compile(r"\s*(SELECT|VALUES|EXPLAIN|PRAGMA|SHOW|SET|LOCK|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
_WITH = re.compile(r"\s*WITH\b", re.IGNORECASE)
_WAL_ATTEMPTS = 100
_WAL_PAUSE_SECONDS = 0.05
_CHANGING = re.compile(r"(?<!FOR )\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


class Base(DeclarativeBase):
    """The one metadata of every feature's tables, with names that migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware UTC in Python on both databases. Raises ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment must be aware")
        return None if value is None else as_utc(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else as_utc(value)


class Database:
    """The engine and its two kinds of session: reading and writing."""

    def __init__(self, url: Secret) -> None:
        plain = url.reveal()
        self.is_sqlite = plain.startswith("sqlite")
        pool: dict[str, Any] = {} if self.is_sqlite else {"pool_size": 10, "max_overflow": 10, "pool_pre_ping": True}
        self.engine: AsyncEngine = create_async_engine(plain, hide_parameters=True, echo=False, **pool)
        if self.is_sqlite:
            _prepare_sqlite(self.engine)
        _watch_writes(self.engine)
        reading = self.engine.execution_options(**{_UNIT: "read"})
        writing = self.engine.execution_options(**{_UNIT: "write"})
        self._reading = async_sessionmaker(reading, expire_on_commit=False, autoflush=False)
        self._unit_kind = type("Unit", (Session,), {})  # a class of its own: only this database's commits are watched
        self._writing = async_sessionmaker(writing, sync_session_class=self._unit_kind, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading. A statement that writes raises RuntimeError: it would be rolled back at the end."""
        async with self._reading() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Give a session for one unit of work: committed at the end, rolled back on any exception."""
        async with self._writing() as session:
            try:
                yield session
            except BaseException:
                await session.rollback()
                raise
            await session.commit()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as connection:
            yield connection

    def watch_commits(self, tell: Callable[[Session], None]) -> None:
        """Call `tell` with each unit of work that was committed."""
        event.listen(self._unit_kind, "after_commit", tell)

    async def aclose(self) -> None:
        await self.engine.dispose()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Give a request its one transaction. Always `Depends(get_session, scope="function")`: committed before the answer leaves."""
    database: Database = request.app.state.database
    unit = database.read if request.method in _READ_METHODS else database.write
    async with unit() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def release(session: AsyncSession) -> None:
    """End the reading part of a unit of work before a network call. Raises RuntimeError if something was written.

    Objects read before are expired: take what is needed out of them first, and read again afterwards.
    """
    if session.new or session.dirty or session.deleted or await _has_written(session):
        raise RuntimeError("a transaction must not wait on the network: ask the exchange before the first write")
    await session.rollback()


async def _has_written(session: AsyncSession) -> bool:
    return session.in_transaction() and bool((await session.connection()).info.get(_WROTE))


def _watch_writes(engine: AsyncEngine) -> None:
    """Note on the connection whether its transaction has written, however the statement was made: ORM, Core or text."""

    @event.listens_for(engine.sync_engine, "begin")
    def forget(connection: Connection) -> None:
        connection.info[_WROTE] = False

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(connection: Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: Any) -> None:
        if not _is_write(statement):
            return
        if connection.get_execution_options().get(_UNIT) == "read":
            raise RuntimeError("a reading session cannot write: its work is rolled back at the end")
        connection.info[_WROTE] = True


def _is_write(statement: str) -> bool:
    """Say whether a statement may change rows; one that is not known to read counts as writing."""
    if _WITH.match(statement):
        return _CHANGING.search(statement) is not None
    return _READING.match(statement) is None


def _prepare_sqlite(engine: AsyncEngine) -> None:
    """Set the pragmas on connect, and take the transaction's beginning out of the driver's hands."""

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=10000")
        _turn_to_wal(connection, cursor)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_UNIT) == "write"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _turn_to_wal(connection: Any, cursor: Any) -> None:
    """Turn a new file to WAL. Of several that try at once SQLite tells all but one "locked", without waiting for the timeout."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            connection.run_async(lambda _driver: asyncio.sleep(_WAL_PAUSE_SECONDS))
        else:
            return
