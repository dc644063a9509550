"""Runs the migrations on the database that Keydeck's settings name, or on a connection handed in by the caller."""

from alembic import context
from sqlalchemy import Connection, create_engine, pool

from app import models
from app.settings import load_settings

assert models.TABLES  # importing it makes every table known


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=models.Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


handed_in: Connection | None = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    url = load_settings().database_url_text.reveal().replace("sqlite+aiosqlite", "sqlite")
    engine = create_engine(url, poolclass=pool.NullPool, hide_parameters=True)
    with engine.connect() as connection:
        run(connection)
        connection.commit()
