"""The check runs from a folder that was prepared elsewhere, and the list of what it needs is whole."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
KIT = ROOT / "ops" / "gpu_check"
LIMIT_S = 300
# What a machine with a GPU and torch is taken to have, as wheels.txt says, and what that brings along.
THERE = {"torch", "torchvision", "timm", "numpy", "pillow", "psutil", "requests", "rich", "typer", "safetensors"}
THERE |= {"prometheus-client", "nvidia-ml-py"}
THERE |= {"click", "huggingface-hub", "tqdm", "typing-extensions", "urllib3"}


def named() -> dict[str, str]:
    """The packages that are brought along, with their versions."""
    lines = (KIT / "wheels.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): release for name, release in pinned}


def wanted(package: str) -> list[Requirement]:
    """What a package depends on, without extras; of another release than is brought along only the names are known."""
    found = map(Requirement, metadata.requires(package) or [])
    needed = [it for it in found if it.marker is None or it.marker.evaluate({"extra": ""})]
    same_release = metadata.version(package) == named()[package]
    return needed if same_release else [Requirement(it.name) for it in needed]


def test_everything_that_a_worker_depends_on_is_brought_along_or_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["worker"]])
    assert unmet(needed) == []


@pytest.mark.parametrize("package", named())
def test_what_is_brought_along_has_all_that_it_depends_on(package: str) -> None:
    assert unmet(wanted(package)) == []


def unmet(needed: Iterable[Requirement]) -> list[str]:
    """What is neither brought along, in a version that will do, nor there."""
    pins = named()
    found = [(it, canonicalize_name(it.name)) for it in needed]
    return [
        str(it)
        for it, name in found
        if name not in THERE and (name not in pins or not it.specifier.contains(pins[name], prereleases=True))
    ]


@pytest.mark.parametrize("script", ["prepare.sh", "run.sh"])
def test_a_script_can_be_read_and_started(script: str) -> None:
    assert os.access(KIT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(KIT / script)], check=True, timeout=LIMIT_S)


def test_it_runs_from_a_folder(tmp_path: Path) -> None:
    kit, out = tmp_path / "kit", tmp_path / "report.json"
    (kit / "bin").mkdir(parents=True)
    (kit / "bin" / "redis-server").write_text("#!/bin/sh\n", encoding="utf-8")
    # Neither torch nor a network: the section asks nothing of them.
    check = ["--simulate", "--only", "environment", "context", "--weights", "local-dir:/none", "--fast"]
    done = subprocess.run(
        [str(KIT / "run.sh"), str(kit), *check, "--out", str(out), "--work", str(tmp_path / "work")],
        cwd=tmp_path,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert out.exists()
