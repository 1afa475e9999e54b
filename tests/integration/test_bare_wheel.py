"""The wheel without extras: what an agent installs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "open_clip", "pynvml", "flower", "tenacity")
INSTALL_S = 300
PACKAGES = {"singletrack", "singletrack_tasks", "singletrack_worker", "singletrack_ops"}


def run(*command: str | Path, timeout_s: float = 60) -> str:
    """Run in no folder of ours, with nothing of ours on the path; returns what it wrote."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SINGLETRACK_"))}
    done = subprocess.run(
        [str(part) for part in command],
        env=clean,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, timeout_s=120)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the wheel and what it needs."""
    home = tmp_path_factory.mktemp("agent") / "venv"
    run(sys.executable, "-m", "venv", home)
    found = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, timeout_s=INSTALL_S)
    return found


def test_the_wheel_has_the_packages_and_nothing_beside_them(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert all(f"{package}/py.typed" in names for package in PACKAGES - {"singletrack_ops"})
    assert not [name for name in names if "test" in name.lower()]


def test_nothing_heavy_is_installed(python: Path) -> None:
    program = f"import importlib.util as u, json; print(json.dumps([n for n in {HEAVY!r} if u.find_spec(n)]))"
    assert json.loads(run(python, "-c", program)) == []


def test_it_imports_without_anything_heavy(python: Path) -> None:
    program = (
        "import sys, json, singletrack;"
        "from singletrack import Client, AsyncClient, ExecutionMode, errors, VlmOptions;"
        "Client('redis://127.0.0.1:9/0').close();"
        f"print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    )
    assert json.loads(run(python, "-c", program)) == []


def test_the_command_line_is_there(python: Path) -> None:
    output = run(python.with_name("singletrack"), "--help")
    for command in ("status", "mode", "ask", "embed", "events", "record", "ping", "dead", "doctor", "up", "demo"):
        assert command in output


def test_what_needs_the_worker_says_what_to_install(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python.with_name("singletrack"), "up", "--folder", tmp_path / "stack"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install" in done.stdout + done.stderr
    assert "singletrack[worker" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
