"""What was sent and done before it was noted; it only reads what others go on writing."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        INSERT INTO register_reached
            SELECT DISTINCT about, channel
            FROM claims, jsonb_array_elements_text(convert_from(command, 'UTF8')::jsonb -> 'about') AS about
            WHERE state = 'sent' AND command IS NOT NULL AND purpose IN ('ask', 'update', 'call', 'link')
            ORDER BY about, channel ON CONFLICT DO NOTHING;
        INSERT INTO register_invited
            SELECT DISTINCT conversation_id FROM claims
            WHERE state = 'sent' AND command IS NOT NULL AND purpose = 'satisfaction'
            ORDER BY conversation_id ON CONFLICT DO NOTHING;
        INSERT INTO register_done
            SELECT case_id, (change #>> '{decision,version}')::int AS version, min(changed_at) FROM case_timeline
            WHERE (change #>> '{decision,version}') IS NOT NULL AND (change ->> 'state' = 'done'
                OR (change ->> 'state' = 'closed' AND change ->> 'close_reason' IN ('done', 'picked', 'holdout')
                    AND change ->> 'written_at' IS NOT NULL AND change ->> 'triggered_at' IS NOT NULL
                    AND change -> 'evidence' ->> 'key' IS NOT NULL))
            GROUP BY 1, 2 ORDER BY 1, 2
            ON CONFLICT (case_id, version) DO UPDATE SET done_at = excluded.done_at
            WHERE excluded.done_at < register_done.done_at;
        """
    )
