"""sealed values: secrets of Keydeck's own, such as second factors

Revision: 0008, after 0007
"""

from collections.abc import Sequence

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the tables in."""


def downgrade() -> None:
    """Take them away again."""
