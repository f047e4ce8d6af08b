"""The revisions of the database, as files name them."""

from alembic.script import ScriptDirectory

from connectors.register import migrate


def test_the_files_are_the_revisions_in_their_order() -> None:
    script = ScriptDirectory(str(migrate._MIGRATIONS))
    assert migrate.revisions() == [one.revision for one in script.walk_revisions()][::-1]
