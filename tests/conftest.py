"""The real parts that tests share: started with the first test that asks, gone with the last."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.postgres import Postgres
from tests.world.s3 import S3


@pytest.fixture(scope="session")
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="session")
def postgres(world_folder: Path) -> Iterator[Postgres]:
    server = Postgres(world_folder)
    server.start()
    yield server
    server.stop()


_databases = itertools.count(1)


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """An empty database of this test's own."""
    return postgres.create_database(f"test_{next(_databases)}")


@pytest.fixture(scope="session")
def s3(world_folder: Path) -> Iterator[S3]:
    store = S3(world_folder)
    store.start()
    yield store
    store.stop()
