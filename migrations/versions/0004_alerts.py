"""changes of keys, alerts, channels and their outbox

Revision: 0004, after 0003
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_MOMENT = app.db.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Bring the tables in."""
    _create_changes()


def downgrade() -> None:
    """Take them away again."""
    for name in ("credential_watch", "credential_changes"):
        op.drop_table(name)


def _create_changes() -> None:
    op.create_table(
        "credential_changes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("credential_id", sa.String(32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("told_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_credential_changes_credential_id_credentials"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential_changes")),
    )
    op.create_index("ix_credential_changes_credential_id_at", "credential_changes", ["credential_id", "at"])
    untold = sa.text("told_at IS NULL")
    op.create_index("ix_credential_changes_untold", "credential_changes", ["at"], sqlite_where=untold, postgresql_where=untold)
    op.create_table(
        "credential_watch",
        sa.Column("credential_id", sa.String(32), nullable=False),
        sa.Column("rights", sa.JSON(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=True),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("balances_old_since", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_credential_watch_credential_id_credentials"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_credential_watch")),
    )
    op.create_index(op.f("ix_credential_watch_balances_old_since"), "credential_watch", ["balances_old_since"])
