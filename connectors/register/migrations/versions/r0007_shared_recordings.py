"""The objects of kept evidence, so that a recording is kept once for all decisions of its conversation."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE evidence_requests ADD COLUMN conversation_id text NOT NULL DEFAULT '';
        ALTER TABLE evidence_requests ADD COLUMN objects bytea;
        CREATE INDEX evidence_requests_of_conversation ON evidence_requests (conversation_id);
        """
    )
