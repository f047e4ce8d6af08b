"""What is old is found without reading everything."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE INDEX call_sessions_by_end ON call_sessions (coalesce(ended_at, spoken_at));
        CREATE INDEX claims_by_age ON claims (filed_at);
        """
    )
