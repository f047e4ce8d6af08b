"""Updates on their way into the OMS, with what it made of each."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE write_backs (
            seq         bigint GENERATED ALWAYS AS IDENTITY,
            update_id   text NOT NULL,
            attempt     integer NOT NULL,
            order_id    text NOT NULL,
            record      bytea NOT NULL,
            filed_at    timestamptz NOT NULL,
            due_at      timestamptz NOT NULL,
            tries       integer NOT NULL DEFAULT 0,
            -- When it first could not be told whether it was applied.
            unknown_at  timestamptz,
            outcome     text NOT NULL DEFAULT '',
            code        text NOT NULL DEFAULT '',
            snapshot    bytea,
            settled_at  timestamptz,
            PRIMARY KEY (update_id, attempt)
        );
        CREATE INDEX write_backs_due ON write_backs (due_at, seq) WHERE settled_at IS NULL;
        CREATE INDEX write_backs_of_order ON write_backs (order_id, seq);
        """
    )
