"""balances by an interval of their own, quarantine

Revision: 0005, after 0004
"""

from collections.abc import Sequence

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the tables in."""


def downgrade() -> None:
    """Take them away again."""
