"""The command line, in this process and once in one of its own."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import singletrack
from singletrack.cli import gpu_checks
from singletrack.cli.app import app
from singletrack.cli.commands.up_demo import HOMES
from singletrack.client import Client
from singletrack_tasks.events import Degraded, IdleUnload, WorkerStarted
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import ExecutionMode
from tests.addresses import SILENT_OLLAMA, SILENT_REDIS
from tests.unit.producers.cli.shell import Shell
from tests.unit.producers.conftest import TRACK, Backstage
from tests.unit.producers.reading.test_dead_letters import bury, dead_job, taken
from tests.unit.producers.sample_images import png

# Its name is that of a function as well, which `from ... import` would give.
status_command = importlib.import_module("singletrack.cli.commands.status")


def test_status(shell: Shell) -> None:
    assert "none: everything runs on the CPU" in shell("status").stdout
    assert shell.json("status")["track"] == TRACK


def test_mode(shell: Shell) -> None:
    assert "-> RECORDING" in shell("mode", "recording").stdout
    assert shell.json("mode", "IDLE")["after"] == ExecutionMode.IDLE


def test_a_mode_with_a_step_that_failed_is_worth_another_try(shell: Shell) -> None:
    assert "no: there is no GPU" in shell("mode", "AUTOPILOT", status=75).stdout
    assert json.loads(shell("mode", "AUTOPILOT", "--json", status=75).stdout)["receipts"][0]["ok"] is False


def test_ask(shell: Shell, tmp_path: Path) -> None:
    image, schema = tmp_path / "a.png", tmp_path / "schema.json"
    image.write_bytes(png(size=(3, 4)))
    schema.write_text('{"type": "object"}')
    assert shell("ask", "sizes [b]", "--image", str(image)).stdout == "sizes [b][(3, 4)]\n"
    assert shell("ask", "\nhello\n\n").stdout == "hello\n"
    asked = ("ask", 'json:\n{"a":\n\n"ä"}', "--schema", str(schema))
    assert shell(*asked).stdout == '{\n  "a": "ä"\n}\n'
    assert shell.json(*asked)["value"] == {"a": "ä"}


def test_ask_says_on_stderr_that_an_answer_was_cut(shell: Shell) -> None:
    for streamed in ((), ("--stream",)):
        cut = shell("ask", "cut here", *streamed)
        assert cut.stdout == "cut here\n"
        assert cut.stderr == "the answer was cut: the model's context is full\n"
        assert shell("ask", "whole", *streamed).stderr == ""
    assert shell.json("ask", "cut here")["truncated"] == "context"


@pytest.mark.parametrize(("said", "meant"), [("true", "True"), ("false", "False"), ("high", "high")])
def test_ask_tells_the_model_whether_to_think(shell: Shell, said: str, meant: str) -> None:
    assert shell("ask", "think?", "--think", said).stdout == f"{meant}\n"
    assert shell("ask", "think?", "--think", said, "--stream").stdout == f"{meant}\n"
    assert (
        "think: Input should be True, False, 'low', 'medium' or 'high'"
        in shell("ask", "think?", "--think", "deeply", status=2).stderr
    )


def test_embed(shell: Shell, tmp_path: Path) -> None:
    image, out = tmp_path / "a.png", tmp_path / "vectors"
    image.write_bytes(png())
    shown = shell("embed", "--text", "a", "--text", "[b]", "--image", str(image), "--out", str(out)).stdout
    assert "cosine similarity" in shown
    assert np.load(out).shape == (3, 8)
    assert shell.json("embed", "--text", "a")["cached"] == 1
    assert "1 x 8, all from the cache, CLIP " in shell("embed", "--text", "a").stdout


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


def test_an_event_is_one_line(lonely_shell: Shell, lonely_backstage: Backstage) -> None:
    reason = Degradation(code=DegradedCode.NO_GPU, message="first\n\n  second", since_unix_s=1)
    happened = (
        Degraded(at_unix_s=1.0, job_id="0123456789", reason=reason),
        IdleUnload(at_unix_s=1.0, model="m", idle_s=1 / 3),
    )
    for event in happened:
        lonely_backstage.redis.xadd(lonely_backstage.keys.events, {"event": event.model_dump_json()})
    first, second = lonely_shell("events").stdout.splitlines()
    assert first.endswith("  degraded job_id=01234567 code=no_gpu message=first second")
    assert second.endswith("  idle_unload model=m idle_s=0.3")


def test_dead_letters_are_listed_and_shown(lonely_shell: Shell, lonely_backstage: Backstage) -> None:
    assert lonely_shell("dead", "list").stdout == "there are no dead letters\n"
    assert lonely_shell.json("dead", "list") == []
    letter_id = bury(lonely_backstage, b"\x1b[2J[b] \xff", "0123456789")
    shown = lonely_shell("dead", "list").stdout
    for word in (letter_id, "01234567", "worn_out"):
        assert word in shown
    assert [letter["job_id"] for letter in lonely_shell.json("dead", "list")] == ["0123456789"]
    shown = lonely_shell("dead", "show", "0123456789").stdout
    assert "worn_out: begun 3 times" in shown
    assert shown.endswith("\n\\x1b[2J[b] \\xff\n")
    facts = lonely_shell.json("dead", "show", letter_id)
    assert (facts["id"], facts["starts"], facts["code"]) == (letter_id, 3, "worn_out")


def test_a_dead_letter_is_sent_again(
    shell: Shell, backstage: Backstage, lonely: Client, lonely_shell: Shell, lonely_backstage: Backstage
) -> None:
    job_id, letter_id = dead_job(lonely, lonely_backstage, lambda c: c.submit(Ping()))
    assert lonely_shell("dead", "retry", letter_id).stdout == f"the job {job_id} is on the queue again\n"
    assert lonely_shell.json("dead", "list") == []
    bury(backstage, taken(lonely_backstage), job_id)
    answered = shell("dead", "retry", job_id, "--wait", "--timeout-s", "20").stdout
    assert json.loads(answered)["track"] == TRACK


def test_dead_letters_are_dropped(lonely_shell: Shell, lonely_backstage: Backstage) -> None:
    letter_ids = [bury(lonely_backstage, b"") for _ in range(3)]
    assert lonely_shell("dead", "drop", letter_ids[1]).stdout == ""
    assert [letter["id"] for letter in lonely_shell.json("dead", "list")] == [letter_ids[0], letter_ids[2]]
    assert lonely_shell("dead", "drop", "--all").stdout == "dropped 2\n"
    assert lonely_shell.json("dead", "list") == []


def test_a_full_queue_is_a_matter_of_capacity(lonely_shell: Shell, lonely_backstage: Backstage) -> None:
    lonely_backstage.redis.hset(lonely_backstage.keys.limits, "queue_max", 0)
    assert "QueueFull: the queue is full" in lonely_shell("ping", status=69).stderr


def _interrupt_after(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Let Ctrl-C come instead of the pause after so many looks."""
    left = iter(range(looks - 1))

    def pause(_: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    # The module's own `time`: other threads sleep on.
    monkeypatch.setattr(status_command, "time", SimpleNamespace(sleep=pause))


def test_what_is_watched_through_a_pipe_is_printed_each_time(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    _interrupt_after(monkeypatch, 3)
    result = shell("status", "--watch")
    assert result.stdout.count(f"track {TRACK}") == 3
    assert result.stderr == "\n"


def test_watching_goes_on_without_a_worker_and_without_redis(
    lonely_shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupt_after(monkeypatch, 2)
    assert lonely_shell("status", "--watch").stdout.count("no worker serves") == 2
    _interrupt_after(monkeypatch, 2)
    unreached = Shell(SILENT_REDIS, TRACK)("status", "--watch")
    assert unreached.stdout.count("cannot be reached") == 2


def test_a_status_says_no_more_than_is_known(shell: Shell) -> None:
    shown = shell("status").stdout
    assert "small-vlm: unloaded " in shown
    assert "of VRAM" not in shown


def test_ctrl_c_ends_the_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "ping", interrupt)
    assert shell("ping", status=130).stderr == "\n"


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"singletrack {singletrack.__version__}\n"


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["mode", "TURBO"], 2, "InvalidRequest"),
        (["ask", "what?", "--image", "/no/such/file"], 2, "InvalidImage"),
        (["ask", "what?", "--schema", "/no/such/file"], 2, "schema from /no/such/file: No such file or directory\n"),
        (["ask", "what?", "--timeout-s", "-1"], 2, "timeout_s"),
        (["embed"], 2, "--text or --image"),
        (["embed", "--text", "a", "--out", "/no/such/folder/file"], 2, "cannot write"),
        (["events", "--since", "yesterday"], 2, "since"),
        (["events", "--timeout-s", "1"], 2, "--follow"),
        (["dead", "show", "1-1"], 2, "dead list"),
        (["dead", "retry", "no such job"], 2, "dead list"),
        (["dead", "drop"], 2, "--all"),
        (["dead", "drop", "1-1", "--all"], 2, "--all"),
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
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", SILENT_OLLAMA)
    monkeypatch.setenv("SINGLETRACK_GPU", "none")
    monkeypatch.setenv("SINGLETRACK_CLIP_WEIGHTS", "local-dir:/no/such/folder")
    result = lonely_shell("doctor", "--json", status=1)
    found = {finding["what"]: finding["verdict"] for finding in json.loads(result.stdout)}
    assert (found["Redis"], found["GPU"]) == ("ok", "ok")
    assert (found["worker"], found["Ollama"], found["CLIP weights"]) == ("problem",) * 3
    # The worker of the other track says that it runs on the machine `here`: then this one needs no Ollama.
    served = {f["what"]: f["verdict"] for f in json.loads(shell("doctor", "--json").stdout)}
    assert (served["worker"], served["Ollama"]) == ("ok", "note")


def test_the_doctor_without_redis() -> None:
    result = Shell(SILENT_REDIS, TRACK)("doctor", status=1)
    assert "cannot be reached" in result.stdout
    assert "problem" in Shell("nonsense", TRACK)("doctor", status=1).stdout


@pytest.mark.parametrize("bindings", [None, "12"])
def test_the_doctor_does_not_advise_to_install_what_is_there(
    monkeypatch: pytest.MonkeyPatch, bindings: str | None
) -> None:
    monkeypatch.setattr(gpu_checks, "_ask_smi", lambda _: None)
    monkeypatch.setattr(gpu_checks, "installed", lambda _: bindings)
    finding = gpu_checks._without_driver("no NVIDIA driver answers")
    assert ("pip install" in finding.advice) is (bindings is None)


def test_the_doctor_tells_a_wrong_password(redis_url: str) -> None:
    result = Shell(f"redis://:wrong@{redis_url.rpartition('@')[2]}", TRACK)("doctor", status=1)
    assert result.stdout.count("does not accept the password") == 1


@pytest.mark.parametrize("port", ["0", "99999"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    result = CliRunner().invoke(app, ["up", "--flower-port", port])
    assert result.exit_code == 2
    assert "--flower-port" in result.stderr


@pytest.mark.parametrize("name", ["up", "demo"])
def test_a_stack_that_cannot_be_loaded_says_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, HOMES[name], None)
    result = CliRunner().invoke(app, [name])
    assert result.exit_code == 2
    assert "singletrack[worker,embedded]" in result.stderr


@pytest.mark.parametrize(("name", "option"), [("up", "--sandbox"), ("demo", "--keep")])
def test_the_stack_gets_its_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, option: str) -> None:
    got: dict[str, object] = {}
    real = inspect.signature(getattr(importlib.import_module(HOMES[name]), f"run_{name}"))

    def run(**options: object) -> int:
        real.bind(**options)
        got.update(options)
        return 3

    monkeypatch.setattr(f"{HOMES[name]}.run_{name}", run)
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
