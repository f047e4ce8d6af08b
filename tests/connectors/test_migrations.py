"""The revisions of the database: as files name them, and only ever adding, so that older versions go on beside them."""

import io
import re
from collections.abc import Iterator

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from connectors.register import migrate

SCRIPT = ScriptDirectory(str(migrate._MIGRATIONS))
REVISIONS = list(SCRIPT.walk_revisions())[::-1]
FUNCTION = "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s; RETURN NULL; END $$"
NAME = re.compile(r"(?:TABLE|INDEX) (\w+)")


def statements(revision: str) -> list[str]:
    """What it tells the database, without comments, each on one line; no database is asked."""
    told = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": told}
    )
    with Operations.context(context):
        SCRIPT.get_revision(revision).module.upgrade()
    plain = re.sub(r"--.*", "", told.getvalue())
    # What stands between two $$ is a function's body, however many statements that has.
    return [
        " ".join(one.split()) for one in re.findall(r"(?:\$\$.*?\$\$|[^;])+", plain, re.DOTALL) if one.strip()
    ]


class Schema:
    """What the revisions before have made, by name."""

    def __init__(self) -> None:
        self.indexes: set[str] = set()
        self.noted: set[str] = set()
        """Tables that triggers keep, and no version writes itself."""

    def refuses(self, statements: list[str]) -> Iterator[str]:
        """Each statement of a revision that an older version might stumble over."""
        fresh = {NAME.findall(one)[0] for one in statements if one.startswith("CREATE TABLE")}
        for one in statements:
            if not self._adds(one, fresh):
                yield one

    def _adds(self, one: str, fresh: set[str]) -> bool:
        if one.startswith("CREATE TABLE "):
            return True
        if index := re.match(r"CREATE (UNIQUE )?INDEX (\w+) ON (\w+)", one):
            unique, name, table = index.groups()
            if unique is None:
                self.indexes.add(name)
            # What must be unique from now on may be what an older version still writes.
            return unique is None or table in fresh
        if body := re.fullmatch(
            r"CREATE FUNCTION \w+\(\) RETURNS trigger LANGUAGE plpgsql AS \$\$ (.+) \$\$", one
        ):
            # It runs in an older version's transactions: it only notes, and a repeat is no fault.
            inserts = re.findall(r"INSERT INTO (\w+) [^;]+? ON CONFLICT ", body[1])
            self.noted |= set(inserts)
            other = re.search(r"\b(DELETE|TRUNCATE|RAISE|UPDATE (?!SET))\b", body[1])
            return len(inserts) == body[1].count("INSERT") and set(inserts) <= fresh and other is None
        if re.match(r"CREATE TRIGGER \w+ AFTER (INSERT|UPDATE)\b", one):
            return True
        if note := re.match(r"INSERT INTO (\w+) SELECT .+ ON CONFLICT ", one):
            return note[1] in self.noted
        if column := re.match(r"ALTER TABLE \w+ ADD COLUMN \w+ (.+)", one):
            form = column[1]
            # An older version names its columns and leaves this one out.
            given = "NOT NULL" not in form or "DEFAULT" in form
            return given and not re.search(r"\b(ADD|DROP|ALTER|UNIQUE|PRIMARY|CHECK)\b", form)
        dropped = re.fullmatch(r"DROP INDEX (\w+)", one)
        # Without an index that guards nothing, it is only slower.
        return dropped is not None and dropped[1] in self.indexes


def test_the_files_are_the_revisions_in_their_order() -> None:
    assert migrate.revisions() == [one.revision for one in REVISIONS]


def test_revisions_only_add() -> None:
    schema = Schema()
    refused = {one.revision: list(schema.refuses(statements(one.revision))) for one in REVISIONS}
    assert {revision: found for revision, found in refused.items() if found} == {}
    assert "claims_to_send" in schema.indexes


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE claims DROP COLUMN tries",
        "ALTER TABLE claims RENAME COLUMN tries TO attempts",
        "ALTER TABLE claims RENAME TO sends",
        "ALTER TABLE claims ALTER COLUMN tries TYPE bigint",
        "ALTER TABLE claims ALTER COLUMN reason SET NOT NULL",
        "ALTER TABLE claims ADD COLUMN weight integer NOT NULL",
        "ALTER TABLE claims ADD COLUMN weight integer UNIQUE",
        "ALTER TABLE claims ADD COLUMN weight integer, DROP COLUMN tries",
        "ALTER TABLE claims ADD CONSTRAINT few CHECK (tries < 9)",
        "CREATE UNIQUE INDEX one_a_customer ON claims (customer_ref)",
        "DROP INDEX one_live_call",
        "DROP TABLE rates",
        "TRUNCATE outbox",
        "UPDATE claims SET tries = 0",
        "INSERT INTO claims SELECT * FROM claims ON CONFLICT DO NOTHING",
        "INSERT INTO register_done SELECT 'x', 1, now()",
        "CREATE TRIGGER early BEFORE INSERT ON claims FOR EACH ROW EXECUTE FUNCTION register_note_reached()",
        FUNCTION % "INSERT INTO outbox VALUES (1) ON CONFLICT DO NOTHING",
        FUNCTION % "UPDATE claims SET tries = 0",
        FUNCTION % "RAISE 'no'",
    ],
)
def test_a_revision_that_does_more_than_add_is_refused(statement: str) -> None:
    schema = Schema()
    for one in REVISIONS:
        assert list(schema.refuses(statements(one.revision))) == []
    assert list(schema.refuses([statement])) == [statement]
