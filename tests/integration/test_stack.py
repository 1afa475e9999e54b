"""`singletrack up` and `singletrack demo` as a user runs them: processes, signals, and what is left behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from singletrack import Client
from singletrack_ops.errors import AlreadyServed, OpsError, PartEnded
from singletrack_ops.local.http_probe import get_text
from singletrack_ops.services import flower_page
from singletrack_ops.stack import CLIENT_FILE, Stack
from tests.addresses import SILENT_OLLAMA, SILENT_REDIS
from tests.integration.ops.waiting import runs, wait_for

READY = "Ctrl-C ends everything"
START_S = 120.0
END_S = 60.0
DEMO_S = 400.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as POSIX has them")


class Program:
    """`singletrack ...` in a session of its own, its output in a file."""

    def __init__(self, folder: Path, arguments: list[str], environ: dict[str, str]) -> None:
        self.folder = folder
        self._output = folder.with_name(f"{folder.name}.out")
        command = [sys.executable, "-m", "singletrack", *arguments, "--folder", str(folder)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def wait_until_ready(self) -> None:
        wait_for(lambda: READY in self.output or self.process.poll() is not None, "the stack is up", START_S)
        assert READY in self.output, self.output

    def tree(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, words: str) -> psutil.Process:
        return next(process for process in self.tree() if words in " ".join(process.cmdline()))

    def wait(self, timeout_s: float = END_S) -> int:
        return self.process.wait(timeout_s)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(END_S)


Run = Callable[..., Program]


@pytest.fixture(autouse=True)
def hears_ctrl_c() -> Iterator[None]:
    """Let the programs hear Ctrl-C, also where a script runs the tests in its background: it has that ignored."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.fixture
def environ(tiny_clip: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SINGLETRACK_")}
    return clean | {"SINGLETRACK_CLIP_WEIGHTS": f"local-dir:{tiny_clip}", "SINGLETRACK_OLLAMA_URL": SILENT_OLLAMA}


@pytest.fixture
def run(tmp_path: Path, environ: dict[str, str]) -> Iterator[Run]:
    programs: list[Program] = []

    def start(*arguments: str, folder: str = "stack", **extra: str) -> Program:
        programs.append(Program(tmp_path / folder, list(arguments), environ | extra))
        return programs[-1]

    yield start
    for program in programs:
        program.end()


def users_of(folder: Path) -> list[str]:
    """The processes that run in a folder, or have it in their command or their environment."""
    return [found for process in psutil.process_iter() if (found := _use(process, str(folder)))]


def _use(process: psutil.Process, folder: str) -> str:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        command = process.cmdline()
        texts = [*command, process.cwd(), *process.environ().values()]
    except psutil.Error:
        return ""  # gone meanwhile, or somebody else's
    return " ".join(command) if any(folder in text for text in texts) else ""


def expect_nothing_left(folder: Path, tree: list[psutil.Process]) -> None:
    wait_for(lambda: not any(runs(process.pid) for process in tree), "all processes have ended")
    assert users_of(folder) == []


def exports(client_file: Path) -> dict[str, str]:
    words = shlex.split(client_file.read_text(encoding="utf-8"))
    return dict(word.split("=", 1) for word in words if word != "export")


def test_up_starts_all_of_it_and_ctrl_c_ends_all_of_it(run: Run) -> None:
    program = run("up", "--simulated-gpu")
    program.wait_until_ready()
    names = ("worker", "beat", "flower")
    assert all(program.find(f"-A singletrack_worker {name}") for name in names)
    client_file = program.folder / CLIENT_FILE
    assert client_file.stat().st_mode & 0o077 == 0
    told = exports(client_file)
    assert told["SINGLETRACK_GPU"] == "simulated"
    assert told["SINGLETRACK_OLLAMA_URL"] == SILENT_OLLAMA
    assert told["SINGLETRACK_CLIP_WEIGHTS"].startswith("local-dir:/")
    with Client(told["SINGLETRACK_REDIS_URL"]) as client:
        assert client.status().worker.pid == program.find("-A singletrack_worker worker").pid
    found = re.search(r"^Flower +(\S+)", program.output, re.MULTILINE)
    assert found
    assert flower_page(found[1], "/healthcheck") is not None
    served = re.search(r"^Metrics +(\S+)", program.output, re.MULTILINE)
    assert served
    assert "singletrack_worker_info{" in (get_text(served[1], 5) or "")
    tree = program.tree()
    assert len(users_of(program.folder)) >= 4

    program.process.send_signal(signal.SIGINT)

    assert program.wait() == 0
    expect_nothing_left(program.folder, tree)
    assert not client_file.exists()


def test_a_worker_that_is_killed_is_named_and_ends_the_rest(run: Run) -> None:
    program = run("up", "--simulated-gpu", "--no-flower")
    program.wait_until_ready()
    tree = program.tree()

    program.find("-A singletrack_worker worker").kill()

    assert program.wait() == 1
    assert "worker has ended with exit status -9" in program.output
    assert "worker.log says" in program.output
    expect_nothing_left(program.folder, tree)


def test_a_redis_that_dies_ends_the_rest(run: Run) -> None:
    program = run("up", "--simulated-gpu", "--no-flower")
    program.wait_until_ready()
    tree = program.tree()

    # As it names itself: the folder of this test, and with it the command of beat, has its name in it as well.
    program.find("-server 127.0.0.1:").kill()

    assert program.wait() == 1
    assert "redis has ended with exit status -9" in program.output
    expect_nothing_left(program.folder, tree)


def test_a_redis_that_is_there_is_used_and_stays_and_a_second_worker_is_not_started(run: Run, redis_url: str) -> None:
    there = {"SINGLETRACK_REDIS_URL": redis_url, "SINGLETRACK_TRACK": "up-test"}
    first = run("up", "--simulated-gpu", "--no-flower", **there)
    first.wait_until_ready()
    assert not (first.folder / "redis.log").exists()
    assert not (first.folder / CLIENT_FILE).exists()

    second = run("up", "--simulated-gpu", folder="second", **there)
    assert second.wait() == 0
    assert "is served already" in second.output
    assert not (second.folder / "worker.log").exists()

    tree = first.tree()
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 0
    expect_nothing_left(first.folder, tree)
    with Client(redis_url, "up-test") as client:
        assert client.status(stale=True).track == "up-test"


def test_a_wrong_password_is_told_before_anything_is_started(run: Run, redis_url: str) -> None:
    scheme, _, rest = redis_url.partition("://")
    wrong = f"{scheme}://:wrong@{rest.rpartition('@')[2]}"
    program = run("up", SINGLETRACK_REDIS_URL=wrong)
    assert program.wait() == 2
    assert "does not accept the password" in program.output
    assert "Traceback" not in program.output
    assert list(program.folder.iterdir()) == []


def test_a_redis_that_does_not_answer_is_not_needed(run: Run) -> None:
    program = run("up", SINGLETRACK_REDIS_URL=SILENT_REDIS)
    assert program.wait() == 1
    assert "unset SINGLETRACK_REDIS_URL" in " ".join(program.output.split())


@pytest.mark.ollama
def test_a_healthy_stack_passes_the_doctor(tmp_path: Path, environ: dict[str, str]) -> None:
    own = {name: value for name, value in environ.items() if not name.startswith(("SINGLETRACK_OLLAMA", "OLLAMA"))}
    with Stack.start(
        tmp_path, environ=own, gpu="simulated", allow_sandbox=True, with_beat=False, with_flower=False
    ) as stack:
        if stack.ollama is None:
            pytest.skip(stack.ollama_problem)
        doctor = [sys.executable, "-m", "singletrack", "doctor"]
        done = subprocess.run(
            doctor, env=own | exports(stack.client_file), capture_output=True, text=True, check=False, timeout=END_S
        )
    assert done.returncode == 0, done.stdout
    assert "problem" not in done.stdout


def test_a_start_that_fails_half_way_leaves_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OpsError, match=f"port {port}: it is taken"):
            Stack.start(tmp_path, environ=environ, gpu="simulated", flower_port=port, clip_wait_s=0)
    assert users_of(tmp_path) == []


def test_a_stack_in_this_process_has_a_client_and_tells_of_a_part_that_ended(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with Stack.start(tmp_path, environ=environ, gpu="simulated", own_ollama=False, with_flower=False) as stack:
        with stack.client() as client:
            status = client.status()
            assert status.gpu is not None
            assert status.gpu.simulated
            assert status.clip.model is not None
        with pytest.raises(AlreadyServed):
            Stack.start(tmp_path, environ=environ, gpu="simulated")
        stack.check()
        assert stack.beat is not None
        psutil.Process(stack.beat.pid).kill()
        wait_for(lambda: not stack.children[-1].alive, "beat has ended")
        with pytest.raises(PartEnded, match="beat has ended"):
            stack.check()
    stack.stop()
    assert users_of(tmp_path) == []


@pytest.mark.ollama
def test_the_demo_runs_from_nothing_to_its_end(run: Run) -> None:
    """It is told of no Ollama of the user's: the sandbox where it can be had, else degraded; both must succeed."""
    program = run("demo", folder="demo", SINGLETRACK_OLLAMA_URL="")
    assert program.wait(DEMO_S) == 0, program.output
    assert "Verified in" in program.output
    assert "FAILED" not in program.output
    assert re.search(r"the GPU page at http://127\.0\.0\.1:\d+/gpu shows [1-9]\d* mode changes", program.output)
    assert re.search(r"the metrics at http://127\.0\.0\.1:\d+/metrics count [1-9]\d* operations", program.output)
    assert re.search(r"clicks found +│ +8 of 8 +│ +8 of 8", program.output)
    page = program.folder / "report" / "report.html"
    assert str(page) in program.output
    assert page.is_file()
    assert "\x1b" not in program.output
    assert max(map(len, program.output.splitlines())) <= 100
    assert users_of(program.folder) == []
