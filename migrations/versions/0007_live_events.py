"""what changed, for pages that listen

Revision: 0007, after 0006
"""

from collections.abc import Sequence

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the tables in."""


def downgrade() -> None:
    """Take them away again."""
