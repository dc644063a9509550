"""limits, rests and turns that all processes share; ways out; what a verdict compares with

Revision: 0006, after 0005
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_MOMENT = app.db.UtcDateTime(timezone=True)
_COLUMNS = {"way": sa.String(64), "former_way": sa.String(64), "checked_at": _MOMENT, "checked_code": sa.String(32)}
_NEWEST = "(SELECT {0} FROM credential_checks WHERE credential_checks.id = credentials.newest_check_id)"


def upgrade() -> None:
    """Bring the tables and columns in, and fill what is known of the newest checks."""
    _create_tables()
    for name, kind in _COLUMNS.items():
        op.add_column("credentials", sa.Column(name, kind, nullable=True))
    op.add_column("credential_checks", sa.Column("public_outcome", sa.String(32), nullable=True))
    op.create_index("ix_credentials_exchange_environment_checked_at", "credentials", ["exchange", "environment", "checked_at"])
    op.execute("UPDATE credentials SET way = 'direct'")  # until now there was no other
    op.execute(f"UPDATE credentials SET checked_at = {_NEWEST.format('finished_at')}, checked_code = {_NEWEST.format('code')}")


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("ix_credentials_exchange_environment_checked_at", table_name="credentials")
    op.drop_column("credential_checks", "public_outcome")
    for name in reversed(_COLUMNS):
        op.drop_column("credentials", name)
    for name in ("exchange_turns", "exchange_rests", "exchange_places"):
        op.drop_table(name)


def _create_tables() -> None:
    lane = (sa.Column("way", sa.String(64), nullable=False), sa.Column("origin", sa.String(255), nullable=False))
    op.create_table(
        "exchange_places",
        *(column._copy() for column in lane),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("free_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("way", "origin", "path", name=op.f("pk_exchange_places")),
    )
    op.create_table(
        "exchange_rests",
        *(column._copy() for column in lane),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", _MOMENT, nullable=False),
        sa.Column("next_try_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("way", "origin", name=op.f("pk_exchange_rests")),
    )
    op.create_table(
        "exchange_turns",
        sa.Column("key_id", sa.String(128), nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("held_until", _MOMENT, nullable=False),
        sa.Column("free_at", _MOMENT, nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_exchange_turns")),
    )
    op.create_index(op.f("ix_exchange_turns_held_until"), "exchange_turns", ["held_until"])
