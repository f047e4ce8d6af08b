"""Evidence on its way into the store, the tail of each chain, and the words that were sent."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE evidence_requests (
            request_id  text PRIMARY KEY,
            order_id    text NOT NULL,
            case_id     text NOT NULL,
            record      bytea NOT NULL,
            filed_at    timestamptz NOT NULL,
            due_at      timestamptz NOT NULL,
            tries       integer NOT NULL DEFAULT 0,
            problem     text NOT NULL DEFAULT '',
            pointer     bytea,
            settled_at  timestamptz
        );
        CREATE INDEX evidence_requests_due ON evidence_requests (due_at) WHERE settled_at IS NULL;
        CREATE INDEX evidence_requests_of_case ON evidence_requests (case_id);

        CREATE TABLE evidence_chains (
            chain   integer PRIMARY KEY,
            -- Where to start looking for the end; the store itself is the truth.
            seq     bigint NOT NULL,
            sha256  text NOT NULL
        );

        ALTER TABLE claims ADD COLUMN sealed_text bytea;
        CREATE INDEX claims_of_conversation ON claims (conversation_id);
        """
    )
