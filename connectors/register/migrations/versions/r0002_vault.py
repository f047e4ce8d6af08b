"""The vault: contacts sealed under one key a customer, and the consents that outrank them."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE customers (
            customer_ref text PRIMARY KEY,
            -- The customer's own key under the vault's; destroyed by erasure, and everything sealed with it.
            wrapped_key  bytea,
            revision     bigint NOT NULL DEFAULT -1,
            -- The contact record under the customer's key.
            sealed       bytea,
            changed_at   timestamptz NOT NULL,
            erased_at    timestamptz
        );
        CREATE TABLE consents (
            customer_ref text NOT NULL,
            channel      text NOT NULL,
            opted_out    boolean NOT NULL,
            occurred_at  timestamptz NOT NULL,
            PRIMARY KEY (customer_ref, channel)
        );
        """
    )
