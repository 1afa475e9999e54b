"""A section that breaks or finds no time fails, and without a usable GPU there is advice instead of a verdict."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpu_check import runner
from gpu_check.driver import NvmlDriver
from gpu_check.lab import Lab
from gpu_check.options import Options
from gpu_check.plants import Plant
from gpu_check.report import Findings
from singletrack_ops.errors import OpsError

LIMIT_S = 300


def options(folder: Path, **others: object) -> Options:
    given = Options(
        out=folder / "report.json", work=folder / "work", simulate=True, fast=True, weights="local-dir:/none"
    )
    return Options(**{**vars(given), **others})


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(lab: Lab, found: Findings) -> None:
        found.expect("before that", True, "yes")
        raise RuntimeError("as it was told to")

    monkeypatch.setattr(runner, "SECTIONS", {"first": break_down, "second": lambda lab, found: None})


def test_a_section_that_breaks_fails_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch)
    assert runner.run(options(tmp_path)) is False
    printed = capsys.readouterr().out
    assert "FAIL first: the section = RuntimeError: as it was told to" in printed
    assert "second      0.0 s" in printed


def test_a_section_without_time_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.run(options(tmp_path, only=("environment",), budget_s=0.0)) is False
    assert "FAIL environment: the section = not run: no time was left" in capsys.readouterr().out


def test_without_a_gpu_there_is_one_line_of_advice_and_exit_status_2(tmp_path: Path) -> None:
    try:
        NvmlDriver(0)
    except OpsError:
        pass
    else:
        pytest.skip("there is a GPU here")
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "gpu_check", "--out", str(out), "--work", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("gpu_check: there is no usable NVIDIA GPU 0 here")
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [["--only", "nothing"], ["--plant", "leak"], ["--plant", "nothing", "--simulate"]]
)
def test_a_command_line_without_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        Options.parse(["clip"], arguments)


def test_the_command_line_is_read(tmp_path: Path) -> None:
    given = Options.parse(["clip", "room"], ["--simulate", "--plant", "leak", "--only", "room", "clip", "--gpu", "1"])
    assert (given.plant, given.only, given.gpu_index) == (Plant.LEAK, ("room", "clip"), 1)
