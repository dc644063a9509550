"""Where the database's schema stands, and how it is brought to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.db import Database

_ALEMBIC_INI = Path(__file__).resolve().parent.parent / "alembic.ini"


def read_head() -> str:
    """Return the newest revision that this version of Keydeck knows."""
    return str(ScriptDirectory.from_config(Config(str(_ALEMBIC_INI))).get_current_head())


async def fetch_revision(database: Database) -> str | None:
    """Return the revision the database is at; None for an empty database."""

    def read(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with database.connect() as connection:
        return await connection.run_sync(read)


async def migrate(database: Database) -> None:
    """Bring the database to the newest revision, in its own connection."""

    def upgrade(connection: Connection) -> None:
        config = Config(str(_ALEMBIC_INI))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with database.engine.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.commit()
