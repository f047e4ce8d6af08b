"""What each call knows, sealed and counted up with every turn, so that any edge process can go on with it."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE call_sessions (
            -- The command that asked for the call; the provider's id of a call that came in.
            call_id           text PRIMARY KEY,
            command_id        text NOT NULL,
            order_id          text NOT NULL,
            conversation_id   text NOT NULL,
            customer_ref      text NOT NULL,
            provider_id       text NOT NULL,
            incoming          boolean NOT NULL,
            -- Compared and set by every change: of two webhooks at once, one has to look again.
            version           integer NOT NULL,
            -- The answer that is awaited; a webhook that brings another is a repeat.
            turn              integer NOT NULL,
            -- The dialogue's session and its last words, under the customer's key.
            sealed            bytea NOT NULL,
            stage             text NOT NULL,
            recorded          boolean NOT NULL DEFAULT false,
            recording_refused boolean NOT NULL DEFAULT false,
            -- A screener took it, and nobody has been put through yet.
            screened          boolean NOT NULL DEFAULT false,
            started_at        timestamptz NOT NULL,
            spoken_at         timestamptz NOT NULL,
            ended_at          timestamptz
        );
        CREATE INDEX call_sessions_of_conversation ON call_sessions (conversation_id);

        CREATE TABLE call_turns (
            call_id  text NOT NULL REFERENCES call_sessions,
            version  integer NOT NULL,
            -- What was heard, said and brought about, under the customer's key.
            sealed   bytea NOT NULL,
            taken_at timestamptz NOT NULL,
            PRIMARY KEY (call_id, version)
        );
        """
    )
