"""A waiting driver goes first, whatever expires sooner."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        -- 0 while a driver waits at the door, 1 for all else.
        ALTER TABLE claims ADD COLUMN urgency smallint NOT NULL DEFAULT 1;
        DROP INDEX claims_to_send;
        CREATE INDEX claims_to_send ON claims (channel, urgency, not_after_at) WHERE state = 'planned';
        """
    )
