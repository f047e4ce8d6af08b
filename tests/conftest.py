"""The real parts that tests share: started with the first test that asks, gone with the last."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadGroupScheduling

from tests.world import kafka as kafka_world
from tests.world.kafka import Doors, Kafka
from tests.world.postgres import Postgres
from tests.world.s3 import S3

# No test is timed: a busy machine must not fail one.
settings.register_profile("saveline", deadline=None, print_blob=True)
settings.load_profile("saveline")


# Whose tests share one running system.
_SHARED = (
    "tests/control/",
    "tests/helm/test_pods.py",
    "tests/observability/",
    "tests/world/test_doors.py",
    "tests/world/test_reading_commands.py",
)


class OneSystem(LoadGroupScheduling):
    """Gives tests that share a running system to one worker: each worker would start a system of its own.

    A mark would not: since pytest 9.2 a group is no part of a test's id, where xdist 3.8 looks for it.
    """

    def _split_scope(self, nodeid: str) -> str:
        shared = next((path for path in _SHARED if nodeid.startswith(path)), "")
        return shared or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneSystem | None:
    return OneSystem(config, log) if config.getvalue("dist") == "loadgroup" else None


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


@pytest.fixture(scope="session")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Doors:
    """Where the one broker of this run lets in only whom it knows: name users, topics and groups uniquely."""
    own = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        return kafka_world.shared(own.parent / "shared-kafka", os.getppid())
    return kafka_world.shared(own / "shared-kafka", os.getpid())


@pytest.fixture(scope="session")
def bootstrap(doors: Doors) -> str:
    """The address of the one broker of this run: never stop it, and name topics and groups uniquely."""
    return doors.inside


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A broker of one's own, to kill and restart."""
    with Kafka(tmp_path / "kafka") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A cluster of three (replication 3, min.insync 2); mark its tests with one `xdist_group`."""
    with Kafka(tmp_path_factory.mktemp("three") / "kafka", nodes=3) as cluster:
        yield cluster
