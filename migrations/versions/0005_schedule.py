"""balances by an interval of their own, quarantine

Revision: 0005, after 0004
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_DUE_AT = (
    "CASE WHEN paused_at IS NOT NULL THEN NULL"
    " WHEN quarantined_at IS NULL AND next_balances_at < next_check_at THEN next_balances_at"
    " ELSE next_check_at END"
)


def upgrade() -> None:
    """Bring the columns in one by one: SQLite's way of building the table anew would empty the tables that hang on it."""
    op.add_column("credentials", sa.Column("next_balances_at", app.db.UtcDateTime(timezone=True), nullable=True))
    op.add_column("credentials", sa.Column("quarantined_at", app.db.UtcDateTime(timezone=True), nullable=True))
    is_stored = op.get_bind().dialect.name != "sqlite"  # SQLite adds computed columns only unstored, the others only stored
    due_at = sa.Computed(_DUE_AT, persisted=is_stored)
    op.add_column("credentials", sa.Column("due_at", app.db.UtcDateTime(timezone=True), due_at, nullable=True))
    op.drop_index("ix_credentials_next_check_at", table_name="credentials")
    op.create_index("ix_credentials_exchange_environment_due_at", "credentials", ["exchange", "environment", "due_at"])


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("ix_credentials_exchange_environment_due_at", table_name="credentials")
    op.create_index("ix_credentials_next_check_at", "credentials", ["next_check_at"])
    for name in ("due_at", "quarantined_at", "next_balances_at"):
        op.drop_column("credentials", name)
