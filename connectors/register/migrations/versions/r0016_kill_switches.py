"""Who threw which kill switch, when and why."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE kill_switch_changes (
            scope       text NOT NULL,
            name        text NOT NULL,
            thrown      boolean NOT NULL,
            changed_by  text NOT NULL,
            why         text NOT NULL,
            changed_at  timestamptz NOT NULL
        );
        CREATE INDEX kill_switch_changes_of ON kill_switch_changes (scope, name, changed_at);
        """
    )
