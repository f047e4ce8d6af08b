"""The vault's key is renewed: which keys are in use, and under which of them each customer's own key is wrapped."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE vault_keys (
            key_id   text PRIMARY KEY,
            -- The key of the hashes, under this one.
            hash_key bytea NOT NULL
        );
        -- NULL: wrapped before there was a list. A key that is still needed cannot be taken off it.
        ALTER TABLE customers ADD COLUMN key_id text REFERENCES vault_keys;
        """
    )
