"""tries that come back one by one, pools of wrong codes, and which links were used

Revision: 0009, after 0008
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring them in. Tries of before the upgrade are in no pool: they would be over within a day. Ended links count as used."""
    op.create_table(
        "attempt_trickles",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("empty_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt_trickles")),
    )
    op.create_index(op.f("ix_attempt_trickles_empty_at"), "attempt_trickles", ["empty_at"])
    op.add_column("factor_tries", sa.Column("pool", sa.String(length=16), nullable=False, server_default=""))
    with op.batch_alter_table("factor_tries") as table:
        table.alter_column("pool", server_default=None)
    op.add_column("reset_links", sa.Column("used_at", app.db.UtcDateTime(timezone=True), nullable=True))
    op.execute("UPDATE reset_links SET used_at = ended_at")


def downgrade() -> None:
    """Take them away again."""
    with op.batch_alter_table("reset_links") as table:
        table.drop_column("used_at")
    with op.batch_alter_table("factor_tries") as table:
        table.drop_column("pool")
    op.drop_index(op.f("ix_attempt_trickles_empty_at"), table_name="attempt_trickles")
    op.drop_table("attempt_trickles")
