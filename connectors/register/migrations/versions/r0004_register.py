"""The register: what people look at. Derived from `case.changes.v1` and the outcomes, so it can be rebuilt."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE register_cases (
            case_id         text PRIMARY KEY,
            order_id        text NOT NULL,
            conversation_id text NOT NULL,
            customer_ref    text NOT NULL,
            store_id        text NOT NULL,
            kind            text NOT NULL,
            policy          text NOT NULL,
            mode            text NOT NULL,
            arm             text NOT NULL,
            state           text NOT NULL,
            resolution      text NOT NULL,
            actor           text NOT NULL,
            channel         text NOT NULL,
            version         integer NOT NULL,
            missing         text[] NOT NULL,
            stuck           text NOT NULL,
            close_reason    text NOT NULL,
            announced       text NOT NULL,
            presented       boolean NOT NULL,
            late            boolean NOT NULL,
            outcome         text NOT NULL,
            rating          integer,
            line_id         text NOT NULL,
            line_name       text NOT NULL,
            quantity_short  bigint NOT NULL,
            units_replaced  bigint NOT NULL,
            value_minor     bigint NOT NULL,
            currency        text NOT NULL,
            price_before    bigint,
            price_after     bigint,
            occurred_at     timestamptz NOT NULL,
            opened_at       timestamptz NOT NULL,
            deadline_at     timestamptz NOT NULL,
            default_at      timestamptz,
            decided_at      timestamptz,
            written_at      timestamptz,
            triggered_at    timestamptz,
            closed_at       timestamptz,
            changed_at      timestamptz NOT NULL,
            evidence        jsonb
        );
        CREATE INDEX register_by_order ON register_cases (order_id);
        CREATE INDEX register_stuck ON register_cases (opened_at) WHERE stuck <> '';

        CREATE TABLE case_timeline (
            -- Where the change stands in its topic: a repeat is the same row.
            partition   integer NOT NULL,
            "offset"    bigint NOT NULL,
            case_id     text NOT NULL,
            order_id    text NOT NULL,
            changed_at  timestamptz NOT NULL,
            change      jsonb NOT NULL,
            PRIMARY KEY (partition, "offset")
        );
        CREATE INDEX timeline_of_order ON case_timeline (order_id, changed_at);
        """
    )
