"""When the four parts of each decision were there, noted with the change that tells so; what is settled has indexes.

A trigger does it, since changes are also kept by older versions while they are being replaced.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE register_done (
            case_id text NOT NULL,
            -- Of the decision.
            version integer NOT NULL,
            done_at timestamptz NOT NULL,
            PRIMARY KEY (case_id, version)
        );
        CREATE INDEX write_backs_settled ON write_backs (outcome) WHERE settled_at IS NOT NULL;
        CREATE INDEX evidence_stored ON evidence_requests (settled_at)
            WHERE settled_at IS NOT NULL AND pointer IS NOT NULL;
        CREATE INDEX evidence_erased ON evidence_requests (settled_at)
            WHERE settled_at IS NOT NULL AND pointer IS NULL;
        """
    )
    op.execute(
        """
        CREATE FUNCTION register_note_done() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO register_done
                VALUES (NEW.case_id, (NEW.change #>> '{decision,version}')::int, NEW.changed_at)
                ON CONFLICT (case_id, version) DO UPDATE SET done_at = excluded.done_at
                WHERE excluded.done_at < register_done.done_at;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER register_done AFTER INSERT ON case_timeline FOR EACH ROW
            WHEN ((NEW.change #>> '{decision,version}') IS NOT NULL AND (NEW.change ->> 'state' = 'done'
                OR (NEW.change ->> 'state' = 'closed' AND NEW.change ->> 'close_reason' IN ('done', 'picked', 'holdout')
                    AND NEW.change ->> 'written_at' IS NOT NULL AND NEW.change ->> 'triggered_at' IS NOT NULL
                    AND NEW.change -> 'evidence' ->> 'key' IS NOT NULL)))
            EXECUTE FUNCTION register_note_done()
        """
    )
