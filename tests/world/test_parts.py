"""What the embedded parts promise: they start, survive, and never stay behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.world.part import Part, PartError, answers, free_port
from tests.world.postgres import Postgres, _leave_root, _unprivileged


def eventually(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, "it did not come true in time"
        time.sleep(0.02)


def a_listener(folder: Path, port: int) -> Part:
    return Part(
        "listener", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], folder / "log"
    )


def test_a_part_is_ready_when_it_answers_and_gone_when_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    part = a_listener(tmp_path, port)
    part.start(lambda: answers(port))
    assert part.alive
    part.stop()
    assert not part.alive
    assert not answers(port)


def test_a_part_that_ends_before_it_is_ready_says_what_it_printed(tmp_path: Path) -> None:
    part = Part(
        "broken", [sys.executable, "-c", "print('no disk left'); raise SystemExit(3)"], tmp_path / "log"
    )
    with pytest.raises(PartError, match=r"(?s)broken ended with 3 .*no disk left"):
        part.start(lambda: False)


def test_a_part_that_never_becomes_ready_is_not_left_running(tmp_path: Path) -> None:
    part = Part("slow", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    with pytest.raises(PartError, match="not ready within"):
        part.start(lambda: False, timeout_s=0.3)
    assert not part.alive


OWNER = """
    import signal, sys, time
    from pathlib import Path
    from tests.world.part import Part
    # Whoever runs these tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    part = Part("child", [sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]) / "log")
    part.start(lambda: True)
    print(part.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_parts_die_with_their_owner_however_it_dies(tmp_path: Path, how: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    assert psutil.pid_exists(child)
    owner.send_signal(how)
    owner.wait(60)
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.real
def test_postgres_keeps_what_was_committed_through_a_kill(tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    server.start()
    with psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.kill()
    assert not answers(server.port)
    server.start()
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    server.stop()


@pytest.mark.real
def test_postgres_asks_for_its_password(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgres.port}/saveline")


@pytest.mark.real
def test_postgres_runs_for_a_normal_user_as_well_as_for_root(tmp_path: Path) -> None:
    become_a_normal_user = _leave_root()
    home = tmp_path / "home"
    home.mkdir()
    if become_a_normal_user:
        os.chown(home, _unprivileged().pw_uid, _unprivileged().pw_gid)
    code = """
        import os, sys
        from pathlib import Path
        import psycopg
        from tests.world.postgres import Postgres
        assert os.geteuid() != 0
        server = Postgres(Path(sys.argv[1]))
        server.start()
        with psycopg.connect(server.dsn) as connection:
            print(connection.execute("SELECT 1").fetchone())
        server.stop()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), home],
        preexec_fn=become_a_normal_user,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "(1,)\n", ended.stderr


@pytest.mark.real
def test_postgres_finds_its_programs_where_only_root_may_enter(tmp_path: Path) -> None:
    """A clone under root's home: PostgreSQL asks `access(2)` whether it may run what stands beside it."""
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    program = shut / "program"
    program.touch(mode=0o755)
    code = "import os, sys; print(os.access(sys.argv[1], os.X_OK))"
    ended = subprocess.run(
        [sys.executable, "-c", code, program],
        preexec_fn=_leave_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "True\n", ended.stderr
