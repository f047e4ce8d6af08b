"""What became of orders, for the report: `decide` keeps only the last word on each case."""

from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE order_outcomes (
            event_id    text PRIMARY KEY,
            order_id    text NOT NULL,
            outcome     text NOT NULL CHECK (outcome IN
                ('picked', 'delivered', 'refused', 'completed', 'cancelled', 'credited')),
            line_id     text NOT NULL DEFAULT '',
            quantity    bigint NOT NULL DEFAULT 0,
            -- Charged where delivered, given back where credited.
            amount_minor bigint NOT NULL DEFAULT 0,
            currency    text NOT NULL DEFAULT '',
            occurred_at timestamptz NOT NULL
        );
        CREATE INDEX outcomes_of_order ON order_outcomes (order_id);
        """
    )
