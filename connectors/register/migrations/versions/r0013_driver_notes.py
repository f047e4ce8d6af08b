"""What customers leave for drivers, sealed until it is fetched."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE driver_notes (
            reference    text PRIMARY KEY,
            customer_ref text NOT NULL,
            order_id     text NOT NULL,
            -- Gone once it was told.
            sealed       bytea,
            kept_at      timestamptz NOT NULL,
            taken_at     timestamptz
        );
        CREATE INDEX tasks_open ON claims (not_after_at) WHERE channel = 'person' AND state = 'planned';
        """
    )
