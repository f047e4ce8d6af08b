"""When to try again to delete what a provider still has of a call that is kept, or was not to be recorded."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE evidence_requests ADD COLUMN clear_at timestamptz;
        CREATE INDEX evidence_requests_to_clear ON evidence_requests (clear_at) WHERE clear_at IS NOT NULL;
        """
    )
