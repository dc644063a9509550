"""counted sign-in attempts and one-time reset links

Revision: 0003, after 0002
"""

from collections.abc import Sequence

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the tables in."""


def downgrade() -> None:
    """Take them away again."""
