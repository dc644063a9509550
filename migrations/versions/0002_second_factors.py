"""second factors and fresh proofs

Revision: 0002, after 0001
"""

from collections.abc import Sequence

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the tables in."""


def downgrade() -> None:
    """Take them away again."""
