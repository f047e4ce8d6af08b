"""Cases that are overdue are found without reading the register."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX register_overdue ON register_cases (deadline_at) WHERE state = 'open' AND stuck = ''"
    )
