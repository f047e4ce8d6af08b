"""Which cases were put to their customers by what, noted when a message or call is sent: counting reads no command.

A trigger does it, since claims are also settled by older versions while they are being replaced.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE register_reached (
            case_id text NOT NULL,
            channel text NOT NULL,
            PRIMARY KEY (case_id, channel)
        );
        -- Conversations that were asked afterwards how it was.
        CREATE TABLE register_invited (
            conversation_id text PRIMARY KEY
        );
        CREATE INDEX claims_counted ON claims (channel, state, conversation_id);
        """
    )
    # The cases in their order, so that of two messages about the same ones neither waits for the other in a circle.
    op.execute(
        """
        CREATE FUNCTION register_note_reached() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.purpose = 'satisfaction' THEN
                INSERT INTO register_invited VALUES (NEW.conversation_id) ON CONFLICT DO NOTHING;
            ELSE
                INSERT INTO register_reached
                    SELECT about, NEW.channel FROM jsonb_array_elements_text(
                        convert_from(NEW.command, 'UTF8')::jsonb -> 'about') AS about ORDER BY about
                    ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER register_reached AFTER INSERT OR UPDATE OF state ON claims FOR EACH ROW
            WHEN (NEW.state = 'sent' AND NEW.command IS NOT NULL
                AND NEW.purpose IN ('ask', 'update', 'call', 'link', 'satisfaction'))
            EXECUTE FUNCTION register_note_reached()
        """
    )
