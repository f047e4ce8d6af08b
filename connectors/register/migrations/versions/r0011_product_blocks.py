"""Blocks of products, checked at claiming, rendering and write-back."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE product_blocks (
            sku         text PRIMARY KEY,
            -- A lifted block stays as a row, so that an older word that comes late changes nothing.
            blocked     boolean NOT NULL,
            occurred_at timestamptz NOT NULL
        );
        """
    )
