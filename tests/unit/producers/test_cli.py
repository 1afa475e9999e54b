"""The command line, in this process and once in one of its own."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from singletrack.cli.commands import app
from singletrack_ops.net import free_port
from singletrack_tasks.events import WorkerStarted
from singletrack_tasks.status import ExecutionMode
from tests.unit.producers.conftest import LONELY_TRACK, TRACK, Backstage
from tests.unit.producers.pictures import png


class Shell:
    """Runs commands on one track."""

    def __init__(self, url: str, track: str) -> None:
        self.start = ["--redis-url", url, "--track", track]

    def __call__(self, *args: str, status: int = 0) -> Any:
        result = CliRunner().invoke(app, [*self.start, *args])
        assert result.exit_code == status, (result.stdout, result.stderr, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json").stdout)


@pytest.fixture
def shell(served: str) -> Shell:
    return Shell(served, TRACK)


@pytest.fixture
def lonely_shell(redis_url: str, lonely_backstage: Backstage) -> Shell:
    return Shell(redis_url, LONELY_TRACK)


def test_status(shell: Shell) -> None:
    assert "none: everything runs on the CPU" in shell("status").stdout
    assert shell.json("status")["track"] == TRACK


def test_mode(shell: Shell) -> None:
    assert "-> RECORDING" in shell("mode", "recording").stdout
    assert shell.json("mode", "IDLE")["after"] == ExecutionMode.IDLE


def test_ask(shell: Shell, tmp_path: Path) -> None:
    image, schema = tmp_path / "a.png", tmp_path / "schema.json"
    image.write_bytes(png(size=(3, 4)))
    schema.write_text('{"type": "object"}')
    assert shell("ask", "sizes [b]", "--image", str(image)).stdout == "sizes [b][(3, 4)]\n"
    assert shell.json("ask", 'json:{"a": 1}', "--schema", str(schema))["value"] == {"a": 1}


def test_embed(shell: Shell, tmp_path: Path) -> None:
    image, out = tmp_path / "a.png", tmp_path / "vectors"
    image.write_bytes(png())
    shown = shell("embed", "--text", "a", "--text", "[b]", "--image", str(image), "--out", str(out)).stdout
    assert "cosine similarity" in shown
    assert np.load(out).shape == (3, 8)
    assert shell.json("embed", "--text", "a")["cached"] == 1


def test_ping(shell: Shell) -> None:
    assert TRACK in shell("ping").stdout
    assert shell.json("ping")["round_trip_ms"] > 0


def test_events(lonely_shell: Shell, lonely_backstage: Backstage) -> None:
    event = WorkerStarted(at_unix_s=1.0, host="here", pid=9)
    stage = lonely_backstage
    entry_id = stage.redis.xadd(stage.keys.events, {"event": event.model_dump_json()}).decode()
    assert "worker_started host=here pid=9" in lonely_shell("events").stdout
    assert lonely_shell.json("events")["id"] == entry_id
    assert lonely_shell("events", "--since", entry_id, "--follow", "--timeout-s", "0.1").stdout == ""


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["mode", "TURBO"], 2, "InvalidRequest"),
        (["ask", "what?", "--image", "/no/such/file"], 2, "InvalidImage"),
        (["ask", "what?", "--schema", "/no/such/file"], 2, "InvalidSchema"),
        (["ask", "what?", "--timeout-s", "-1"], 2, "timeout_s"),
        (["embed"], 2, "--text or --image"),
        (["embed", "--text", "a", "--out", "/no/such/folder/file"], 2, "cannot write"),
        (["events", "--since", "yesterday"], 2, "since"),
        (["ask", "too big"], 69, "NotEnoughVram"),
        (["ask", "crash"], 1, "WorkerFailure"),
    ],
)
def test_errors_are_one_line_and_an_exit_status(shell: Shell, args: list[str], status: int, said: str) -> None:
    result = shell(*args, status=status)
    assert result.stdout == ""
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_track_without_a_worker_is_worth_another_try(lonely_shell: Shell) -> None:
    assert "NoWorker" in lonely_shell("status", status=75).stderr
    assert "NoWorker" in lonely_shell("ping", "--timeout-s", "0.2", status=75).stderr


def test_wrong_settings_are_bad_input() -> None:
    result = Shell("redis://:hunter2@host:port/0", TRACK)("status", status=2)
    assert "SINGLETRACK_REDIS_URL" in result.stderr
    assert "hunter2" not in result.stderr


def test_the_doctor_finds_what_is_missing(shell: Shell, lonely_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("SINGLETRACK_GPU", "none")
    monkeypatch.setenv("SINGLETRACK_CLIP_WEIGHTS", "local-dir:/no/such/folder")
    result = lonely_shell("doctor", "--json", status=1)
    found = {finding["what"]: finding["verdict"] for finding in json.loads(result.stdout)}
    assert found["Redis"] == "ok"
    assert (found["worker"], found["Ollama"], found["CLIP weights"]) == ("problem",) * 3
    # The worker of the other track says that it runs on the machine `here`: then this one needs no Ollama.
    served = {f["what"]: f["verdict"] for f in json.loads(shell("doctor", "--json").stdout)}
    assert (served["worker"], served["Ollama"]) == ("ok", "note")


def test_the_doctor_without_redis() -> None:
    result = Shell(f"redis://127.0.0.1:{free_port()}/0", TRACK)("doctor", status=1)
    assert "cannot be reached" in result.stdout
    assert "problem" in Shell("nonsense", TRACK)("doctor", status=1).stdout


@pytest.mark.parametrize("name", ["up", "demo"])
def test_a_stack_that_cannot_be_loaded_says_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, f"singletrack_ops.{name}", None)
    result = CliRunner().invoke(app, [name])
    assert result.exit_code == 2
    assert "singletrack[worker,embedded]" in result.stderr


@pytest.mark.parametrize(("name", "option"), [("up", "--sandbox"), ("demo", "--keep")])
def test_the_stack_gets_its_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, option: str) -> None:
    got: dict[str, object] = {}
    real = inspect.signature(getattr(importlib.import_module(f"singletrack_ops.{name}"), f"run_{name}"))

    def run(**options: object) -> int:
        real.bind(**options)
        got.update(options)
        return 3

    monkeypatch.setattr(f"singletrack_ops.{name}.run_{name}", run)
    assert CliRunner().invoke(app, [name, option, "--folder", str(tmp_path)]).exit_code == 3
    assert got[option.strip("-")] is True
    assert got["folder"] == tmp_path


def test_the_console_script(served: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", "from singletrack.cli import main; main()"]
    options = ["--redis-url", served, "--track", TRACK]
    done = subprocess.run([*command, *options, "ping", "--json"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["track"] == TRACK
    failed = subprocess.run([*command, *options, "mode", "TURBO"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
