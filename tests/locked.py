"""A virtual environment of its own for what has pins that conflict with ours, from a lock file with hashes."""

import subprocess
import sys
from pathlib import Path


def locked(folder: Path, lock: Path) -> Path:
    """The environment's folder of programs; built where it is missing or older than the lock."""
    programs, done = folder / "bin", folder / "done"
    if not done.exists() or lock.stat().st_mtime > done.stat().st_mtime:
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        subprocess.run(
            [uv, "pip", "sync", "--quiet", "--python", programs / "python", "--require-hashes", lock],
            check=True,
            timeout=600,
        )
        done.touch()
    return programs
