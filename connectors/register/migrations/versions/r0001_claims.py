"""Claims, their receipts on the way out, the rate limits, and the opt-outs that are checked when claiming."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE claims (
            command_id      text PRIMARY KEY,
            order_id        text NOT NULL,
            conversation_id text NOT NULL DEFAULT '',
            customer_ref    text NOT NULL DEFAULT '',
            channel         text NOT NULL,
            purpose         text NOT NULL DEFAULT '',
            -- The command itself; absent when its cancellation came first.
            command         bytea,
            state           text NOT NULL CHECK (state IN
                ('planned', 'claimed', 'suppressed', 'cancelled', 'sent', 'rejected', 'ambiguous')),
            reason          text NOT NULL DEFAULT '',
            not_after_at    timestamptz,
            not_before_at   timestamptz,
            tries           integer NOT NULL DEFAULT 0,
            claimed_by      text NOT NULL DEFAULT '',
            claimed_at      timestamptz,
            ambiguous_at    timestamptz,
            look_at         timestamptz,
            address_hash    text NOT NULL DEFAULT '',
            -- A call that may be on the line.
            live            boolean NOT NULL DEFAULT false,
            provider_id     text NOT NULL DEFAULT '',
            cancel_reason   text NOT NULL DEFAULT '',
            cancel_sent_at  timestamptz,
            filed_at        timestamptz NOT NULL,
            settled_at      timestamptz
        );
        CREATE UNIQUE INDEX one_live_call ON claims (address_hash) WHERE live;
        CREATE INDEX claims_to_send ON claims (channel, not_after_at) WHERE state = 'planned';
        CREATE INDEX claims_open ON claims (channel, state) WHERE state IN ('claimed', 'ambiguous');
        CREATE INDEX claims_to_cancel ON claims (channel) WHERE cancel_reason <> '' AND live;
        CREATE INDEX claims_of_customer ON claims (customer_ref, claimed_at) WHERE claimed_at IS NOT NULL;
        CREATE INDEX claims_of_address ON claims (address_hash) WHERE provider_id <> '';
        CREATE INDEX claims_by_provider_id ON claims (provider_id) WHERE provider_id <> '';
        CREATE INDEX claims_of_order ON claims (order_id);

        CREATE TABLE outbox (
            id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            topic   text NOT NULL,
            key     text NOT NULL,
            value   bytea NOT NULL
        );

        CREATE TABLE rates (
            name        text PRIMARY KEY,
            tokens      double precision NOT NULL,
            refilled_at timestamptz NOT NULL
        );

        CREATE TABLE opt_outs (
            -- A customer_ref, or the hash of an address: an opt-out binds the number across accounts.
            subject     text NOT NULL,
            channel     text NOT NULL,
            opted_out   boolean NOT NULL,
            occurred_at timestamptz NOT NULL,
            PRIMARY KEY (subject, channel)
        );

        CREATE TABLE kill_switches (
            scope   text NOT NULL,
            name    text NOT NULL,
            PRIMARY KEY (scope, name)
        );
        """
    )
