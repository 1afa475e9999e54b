"""What an agent installs: the bare wheel, without the worker's extras."""

import subprocess
import sys
import time
from pathlib import Path

MIB = 1024 * 1024
PROJECT = Path(__file__).resolve().parents[2]


def run(folder: Path) -> None:
    """Build the wheel, install it into an empty environment, and measure time and size."""
    wheels, environment = folder / "wheels", folder / "environment"
    _run([sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(PROJECT)])
    _run([sys.executable, "-m", "venv", str(environment)])
    python = next(path for path in (environment / "bin/python", environment / "Scripts/python.exe") if path.exists())
    before_bytes, started = _size(environment), time.perf_counter()
    _run([str(python), "-m", "pip", "install", "--quiet", str(next(wheels.glob("*.whl")))])
    took_s, took_bytes = time.perf_counter() - started, _size(environment) - before_bytes
    print(f"  {'pip install singletrack':32} {took_s:6.1f} s   {took_bytes / MIB:.0f} MB")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
