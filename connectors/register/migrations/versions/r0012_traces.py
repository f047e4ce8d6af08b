"""The trace to which everything that waits here belongs."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("claims", "write_backs", "evidence_requests", "outbox"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN traceparent text NOT NULL DEFAULT ''")
