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
    _create_alerts()
    _create_channels()


def downgrade() -> None:
    """Take them away again."""
    for name in (
        "alert_preferences",
        "alert_deliveries",
        "alert_channels",
        "alerts",
        "credential_watch",
        "credential_changes",
    ):
        op.drop_table(name)


def _refer(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"), ondelete="CASCADE")


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
        _refer("credential_changes", "credential_id", "credentials"),
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
        _refer("credential_watch", "credential_id", "credentials"),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_credential_watch")),
    )
    op.create_index(op.f("ix_credential_watch_balances_old_since"), "credential_watch", ["balances_old_since"])


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("credential_id", sa.String(32), nullable=True),
        sa.Column("change_id", sa.String(32), nullable=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("read_at", _MOMENT, nullable=True),
        _refer("alerts", "user_id", "users"),
        _refer("alerts", "credential_id", "credentials"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("change_id", name=op.f("uq_alerts_change_id")),
    )
    op.create_index("ix_alerts_user_id_at", "alerts", ["user_id", "at"])
    op.create_index(op.f("ix_alerts_credential_id"), "alerts", ["credential_id"])
    unread = sa.text("read_at IS NULL")
    op.create_index("ix_alerts_unread", "alerts", ["user_id"], sqlite_where=unread, postgresql_where=unread)
    op.create_table(
        "alert_preferences",
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("quiet_from", sa.Integer(), nullable=True),
        sa.Column("quiet_to", sa.Integer(), nullable=True),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("calendar_hash", sa.String(64), nullable=True),
        sa.Column("calendar_since", _MOMENT, nullable=True),
        _refer("alert_preferences", "user_id", "users"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_alert_preferences")),
        sa.UniqueConstraint("calendar_hash", name=op.f("uq_alert_preferences_calendar_hash")),
    )


def _create_channels() -> None:
    op.create_table(
        "alert_channels",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("hint", sa.String(80), nullable=False),
        sa.Column("value_id", sa.String(32), nullable=True),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("shows_labels", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("claimed_at", _MOMENT, nullable=True),
        sa.Column("tried_at", _MOMENT, nullable=True),
        sa.Column("failing_since", _MOMENT, nullable=True),
        sa.Column("failure", sa.String(200), nullable=True),
        _refer("alert_channels", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_channels")),
    )
    op.create_index(op.f("ix_alert_channels_user_id"), "alert_channels", ["user_id"])
    op.create_table(
        "alert_deliveries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("channel_id", sa.String(32), nullable=False),
        sa.Column("alert_id", sa.String(32), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=True),
        sa.Column("ended_at", _MOMENT, nullable=True),
        _refer("alert_deliveries", "channel_id", "alert_channels"),
        _refer("alert_deliveries", "alert_id", "alerts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_deliveries")),
        sa.UniqueConstraint("channel_id", "alert_id", name=op.f("uq_alert_deliveries_channel_id_alert_id")),
    )
    op.create_index("ix_alert_deliveries_channel_id_created_at", "alert_deliveries", ["channel_id", "created_at"])
    op.create_index(op.f("ix_alert_deliveries_alert_id"), "alert_deliveries", ["alert_id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_alert_deliveries_waiting", "alert_deliveries", ["due_at"], sqlite_where=waiting, postgresql_where=waiting)
