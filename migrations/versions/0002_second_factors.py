"""second factors and fresh proofs

Revision: 0002, after 0001
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.db import UtcDateTime

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the tables in."""
    op.add_column("users", sa.Column("factor_offer_closed_at", UtcDateTime(timezone=True), nullable=True))
    op.add_column("user_sessions", sa.Column("proved_at", UtcDateTime(timezone=True), nullable=True))
    _create(
        "pending_sign_ins",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("token_hash", name="uq_pending_sign_ins_token_hash"),
    )
    _create(
        "totp_factors",
        sa.Column("value_id", sa.String(32), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
    )
    _create(
        "recovery_codes",
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcDateTime(timezone=True), nullable=True),
    )
    _create(
        "passkeys",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("is_synced", sa.Boolean(), nullable=False),
        sa.Column("transports", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", UtcDateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
    )
    _create("factor_tries", sa.Column("at", UtcDateTime(timezone=True), nullable=False))
    op.create_table(
        "passkey_challenges",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("challenge_hash", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("bearer_id", sa.String(32), nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_passkey_challenges"),
        sa.UniqueConstraint("challenge_hash", name="uq_passkey_challenges_challenge_hash"),
    )
    op.create_index("ix_passkey_challenges_expires_at", "passkey_challenges", ["expires_at"])


def _create(table: str, *columns: sa.schema.SchemaItem) -> None:
    """Create a table of rows that belong to a person and go with them."""
    op.create_table(
        table,
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_user_id", table, ["user_id"])


def downgrade() -> None:
    """Take them away again."""
    for table in ("passkey_challenges", "factor_tries", "passkeys", "recovery_codes", "totp_factors", "pending_sign_ins"):
        op.drop_table(table)
    with op.batch_alter_table("user_sessions") as batch:
        batch.drop_column("proved_at")
    with op.batch_alter_table("users") as batch:
        batch.drop_column("factor_offer_closed_at")
