"""The flight recorder of a real worker: there when a transition fails, and on demand whatever the GPU is busy with."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child
from singletrack_ops.stack import Stack
from singletrack_tasks.recording import Recording
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import clean_environ, in_flight, running_worker, submit_endless, worker_environ

pytestmark = pytest.mark.ollama

TRACK = "flights"
PICTURE = (1400, 800)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="module")
def unlucky(folder: Path, redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path) -> Iterator[tuple[Child, Client]]:
    """A worker on a simulated GPU whose VLM nobody pulled."""
    environ = worker_environ(
        redis_url,
        TRACK,
        ollama,
        gpu="simulated",
        vlm_model="no-such-model:7b",
        clip_weights=f"local-dir:{tiny_clip}",
        retry_pause_s=0,
        flight_dir=folder / "files",
    )
    with running_worker(folder / "worker", environ) as running:
        yield running


def singletrack(*args: str | Path) -> str:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "singletrack", *map(str, args)]
    done = subprocess.run(
        command, env=clean_environ() | {"COLUMNS": "200"}, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def test_a_failed_transition_leaves_a_file_that_can_be_read_and_drawn(
    unlucky: tuple[Child, Client], folder: Path, tmp_path: Path
) -> None:
    worker, client = unlucky
    files = folder / "files"
    client.set_mode("AUTOPILOT")
    assert not files.exists()
    client.set_mode("RECORDING")
    wait_for(lambda: files.exists() and bool(list(files.glob(f"{TRACK}-*.json.gz"))), "the recording is written")
    (file,) = files.iterdir()
    recording = Recording.unpack(file.read_bytes())
    assert (recording.track, recording.reason) == (TRACK, "load_vlm_failed")
    assert "no-such-model:7b" in recording.detail
    assert recording.gpu is not None
    assert recording.gpu.simulated
    assert recording.samples[-1].mode is ExecutionMode.RECORDING
    assert [(mark.what, bool(mark.error)) for mark in recording.marks] == [
        ("promote_clip", False),
        ("demote_clip", False),
        ("load_vlm", True),
    ]
    wait_for(lambda: worker.log_path.read_text(encoding="utf-8").count(str(file)) == 1, "the log says so, once")
    picture = tmp_path / "out.png"
    shown = singletrack("record", "--file", file, "--plot", picture)
    assert "load_vlm_failed" in shown
    assert "promote_clip" in shown
    assert size(picture) == PICTURE


def test_a_recording_is_drawn_while_the_gpu_is_busy(stack: Stack, client: Client, tmp_path: Path) -> None:
    picture, file = tmp_path / "out.png", tmp_path / "out.json.gz"
    client.set_mode("RECORDING")
    job = submit_endless(client)

    def seen() -> bool:
        return client.record().samples[-1].job_id == job.id

    wait_for(seen, "the recorder sees the question")
    target = ("--redis-url", stack.redis_url, "--track", client.track)
    shown = singletrack(*target, "record", "--plot", picture, "--out", file)
    assert in_flight(client) == job.id
    job.cancel()
    recording = Recording.unpack(file.read_bytes())
    last = recording.samples[-1]
    assert (last.operation, last.job_id, last.mode) == ("ask", job.id, ExecutionMode.RECORDING)
    assert last.stage in ("read", "generate")
    assert last.vlm is ModelState.LOADED
    assert (last.used_mb or 0) >= (last.vlm_mb or 0) > 0
    assert "ask" in shown
    assert size(picture) == PICTURE
