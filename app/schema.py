"""Where the database's schema stands, and how it is brought to the newest revision."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.db import Database

_MIGRATION_LOCK = 20261121  # any number, as long as every version uses the same
_ALEMBIC_INI = Path(__file__).resolve().parent.parent / "alembic.ini"


@cache
def read_head() -> str:
    """Return the newest revision that this version of Keydeck knows. Read once: the files are part of the version."""
    return str(ScriptDirectory.from_config(Config(str(_ALEMBIC_INI))).get_current_head())


async def fetch_revision(database: Database) -> str | None:
    """Return the revision the database is at; None for an empty database."""

    def read(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with database.connect() as connection:
        return await connection.run_sync(read)


async def migrate(database: Database) -> None:
    """Bring the database to the newest revision. Of several servers that start at once, one migrates and the rest wait."""

    def upgrade(connection: Connection) -> None:
        config = Config(str(_ALEMBIC_INI))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with database.write() as session:
        connection = await session.connection()
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})
        await connection.run_sync(upgrade)
