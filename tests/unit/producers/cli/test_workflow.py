"""`singletrack workflow`: what it prints, and its exit statuses."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner, Result

from singletrack.cli.app import app
from tests.addresses import SILENT_REDIS

FLOW = """\
name: Two steps
needs_worker: false
steps:
  - {do: click, target: {text: Save record}, expect: {seen: Record was saved}}
  - {do: check, text: Record was saved}
"""
UNSURE = "name: One step\nneeds_worker: false\nsteps: [{do: click, target: {text: Delete}, timeout_s: 0.1}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A desktop of two pictures, and workflows for it."""
    for name, text in (("form", "Save record"), ("saved", "Record was saved")):
        picture = Image.new("RGB", (800, 400), "#f4f5f7")
        pen = ImageDraw.Draw(picture)
        pen.rectangle((100, 100, 400, 160), fill="white", outline="#8a94a3", width=2)
        pen.text((120, 130), text, fill="#1a202c", font=ImageFont.load_default(24), anchor="lm")
        picture.save(tmp_path / f"{name}.png")
    states = [
        {"name": "form", "picture": "form.png", "moves": [{"to": "saved", "box": [100, 100, 300, 60]}]},
        {"name": "saved", "picture": "saved.png"},
    ]
    (tmp_path / "desktop.json").write_text(json.dumps({"states": states}), encoding="utf-8")
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")
    (tmp_path / "unsure.yaml").write_text(UNSURE, encoding="utf-8")
    return tmp_path


def workflow(*args: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["--redis-url", SILENT_REDIS, "workflow", *args])
    assert result.exit_code == status, (result.stdout, result.stderr, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_run_reports_and_writes_its_report(folder: Path) -> None:
    report = folder / "report"
    said = workflow("run", str(folder / "flow.yaml"), "--scripted", str(folder), "--report", str(report)).stdout
    assert "all steps done (2 of 2 steps" in said
    assert str(report / "report.html") in said.replace("\n", "")
    assert "data:image/jpeg" in (report / "report.html").read_text(encoding="utf-8")
    data = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert [step["outcome"] for step in data["steps"]] == ["done", "done"]


def test_run_prints_json_alone(folder: Path) -> None:
    said = workflow("run", str(folder / "flow.yaml"), "--scripted", str(folder), "--json").stdout
    assert json.loads(said)["outcome"] == "completed"


def test_a_dry_run_touches_nothing(folder: Path) -> None:
    said = workflow("run", str(folder / "flow.yaml"), "--scripted", str(folder), "--dry-run").stdout
    assert "dry run: nothing was touched" in said
    assert "would be done" in said


def test_a_step_that_is_unsure_is_status_1(folder: Path) -> None:
    said = workflow("run", str(folder / "unsure.yaml"), "--scripted", str(folder), status=1).stdout
    assert "'Delete' is not on the screen" in " ".join(said.split())


def test_a_worker_that_is_needed_and_away_is_status_75(folder: Path) -> None:
    text = FLOW.replace("needs_worker: false\n", "")
    (folder / "flow.yaml").write_text(text, encoding="utf-8")
    assert "RedisUnavailable" in workflow("run", str(folder / "flow.yaml"), "--scripted", str(folder), status=75).stderr


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bad_workflow_is_status_2(folder: Path, command: str) -> None:
    (folder / "flow.yaml").write_text("name: x\nsteps: [{do: clock}]\n", encoding="utf-8")
    assert "line 2, step 1: do is 'clock'" in workflow(command, str(folder / "flow.yaml"), status=2).stderr


def test_a_bad_desktop_is_status_2(folder: Path) -> None:
    assert "InvalidDesktop" in workflow("run", str(folder / "flow.yaml"), "--scripted", "/nowhere", status=2).stderr


@pytest.mark.parametrize("broken", ["gone", "damaged", "black"])
def test_a_picture_that_cannot_be_shown_is_status_2(folder: Path, broken: str) -> None:
    picture = folder / "saved.png"
    picture.unlink() if broken == "gone" else picture.write_bytes(b"no picture")
    if broken == "black":
        Image.new("RGB", (800, 400)).save(picture)
    said = workflow("run", str(folder / "flow.yaml"), "--scripted", str(folder), status=2).stderr
    assert "InvalidDesktop: State 'saved': " in said


def test_a_report_that_cannot_be_written_is_said_before_anything_is_done(folder: Path) -> None:
    said = workflow(
        "run", str(folder / "flow.yaml"), "--scripted", str(folder), "--report", str(folder / "form.png"), status=2
    )
    assert "ReportNotWritten" in said.stderr
    assert said.stdout == ""


def test_a_report_that_cannot_be_written_in_the_end_is_shown_all_the_same(folder: Path) -> None:
    (folder / "report" / "report.json").mkdir(parents=True)
    said = workflow(
        "run", str(folder / "flow.yaml"), "--scripted", str(folder), "--report", str(folder / "report"), status=2
    )
    assert "all steps done (2 of 2 steps" in said.stdout
    assert "ReportNotWritten" in said.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to single processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_which_reports(folder: Path, number: int) -> None:
    text = "name: Wait\nneeds_worker: false\nsteps:\n- {do: check, text: Save record}\n"
    (folder / "wait.yaml").write_text(text + "- {do: wait_until_seen, target: {text: Nothing}, timeout_s: 3600}\n")
    report = folder / "report"
    command = [sys.executable, "-m", "singletrack", "--redis-url", SILENT_REDIS, "workflow", "run"]
    command += [str(folder / "wait.yaml"), "--scripted", str(folder), "--report", str(report)]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("1. check: ")
        process.send_signal(number)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert json.loads((report / "report.json").read_text(encoding="utf-8"))["outcome"] == "stopped_by_person"


def test_check_says_what_is_not_proven(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSWORD", raising=False)
    text = FLOW + "  - {do: type, into: {text: Pin}, secret: '${env:PASSWORD}'}\n"
    text += "  - {do: click, target: {description: the bell}}\n"
    (folder / "flow.yaml").write_text(text, encoding="utf-8")
    result = workflow("check", str(folder / "flow.yaml"))
    assert "Record was saved" in result.stdout
    assert "step 4 expects nothing" in result.stderr
    assert "step 4 is found by its description alone: that takes the VLM" in result.stderr
    assert "the environment has no PASSWORD" in result.stderr
    monkeypatch.setenv("PASSWORD", "set")
    assert "PASSWORD" not in workflow("check", str(folder / "flow.yaml")).stderr


def test_a_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "singletrack.agent.workflow.yaml_lines", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert "pip install 'singletrack[agent]'" in workflow("check", str(folder / "flow.yaml"), status=2).stderr


def test_record_does_not_write_over_a_file(folder: Path) -> None:
    said = workflow("record", str(folder / "flow.yaml"), status=2).stderr
    assert "is there already" in said
    assert (folder / "flow.yaml").read_text(encoding="utf-8") == FLOW


def test_record_says_before_it_begins_that_a_place_cannot_be_written(folder: Path) -> None:
    said = workflow("record", str(folder / "form.png" / "shown.yaml"), status=2).stderr
    assert "cannot be written" in said
