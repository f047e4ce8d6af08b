"""One `saveline up --json` for the whole suite."""

from collections.abc import Iterator

import pytest

from tests.control.outside import Outside


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Its end is a promise as well: Ctrl-C leaves nothing but logs."""
    outside = Outside(tmp_path_factory.mktemp("control"))
    yield outside
    outside.ends()
