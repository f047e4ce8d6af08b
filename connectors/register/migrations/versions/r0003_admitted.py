"""Which orders of a customer were admitted, so that a change of contact or consent finds them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE admitted_orders (
            customer_ref text NOT NULL,
            order_id     text NOT NULL,
            admitted_at  timestamptz NOT NULL,
            PRIMARY KEY (customer_ref, order_id)
        );
        CREATE INDEX admitted_orders_by_age ON admitted_orders (admitted_at);
        """
    )
