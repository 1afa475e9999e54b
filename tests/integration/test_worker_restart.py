"""What survives a worker: it ends with nothing left behind, and the next one goes on where it was (R6.4 too)."""

from pathlib import Path

import psutil
import pytest

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child
from singletrack_tasks.errors import DeadlinePassed, NotEnoughVram, SingletrackError
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.integration.ops.waiting import runs, wait_for
from tests.integration.worker_tools import (
    events_since,
    is_loaded,
    last_event_id,
    running_worker,
    submit_endless,
    tasks_in_log,
    unload_behind_its_back,
    worker_environ,
)

pytestmark = pytest.mark.ollama

VLM_MB = 5000


@pytest.fixture(scope="module")
def environ(redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path) -> dict[str, str]:
    return worker_environ(
        redis_url,
        "restart",
        ollama,
        clip_weights=f"local-dir:{tiny_clip}",
        gpu="simulated",
        simulated_vlm_mb=VLM_MB,
        retry_pause_s=0.05,
    )


def end(worker: Child) -> list[int]:
    """Ask the worker alone to end, as a service manager does; returns the processes that it had."""
    family = [process.pid for process in psutil.Process(worker.pid).children(recursive=True)]
    psutil.Process(worker.pid).terminate()
    assert worker.wait(60) == 0, worker.log_tail()
    return family


def test_the_life_of_a_track_over_three_workers(
    tmp_path: Path, environ: dict[str, str], ollama: EmbeddedOllama
) -> None:
    """In one test, since each begins where the one before ended."""
    unload_behind_its_back(ollama)
    with running_worker(tmp_path / "first", environ) as (worker, client):
        start = last_event_id(client)
        client.set_mode("RECORDING")
        wait_for(lambda: len(psutil.Process(worker.pid).children(recursive=True)) >= 2, "CLIP's encoder and its spare")
        family = end(worker)
        wait_for(lambda: not any(runs(pid) for pid in family), "the encoders have ended")
        assert events_since(client, start)[-1].kind == "worker_stopped"
        assert client.status(stale=True).mode is ExecutionMode.RECORDING
    assert is_loaded(ollama), "what Ollama holds goes by its keep-alive"

    unload_behind_its_back(ollama)
    with running_worker(tmp_path / "second", environ) as (worker, client):
        assert client.status().mode is ExecutionMode.RECORDING
        wait_for(lambda: client.status().vlm.state is ModelState.LOADED, "the mode's contract is made true")
        assert is_loaded(ollama)
        assert client.status().vlm.footprint_mb == VLM_MB
        finished_before_the_end(worker, client)

    unload_behind_its_back(ollama)
    too_small = environ | {"SINGLETRACK_SIMULATED_TOTAL_MB": str(VLM_MB + 100)}
    with running_worker(tmp_path / "third", too_small) as (_, client):
        refused_with_figures(client)
        assert not is_loaded(ollama)


def finished_before_the_end(worker: Child, client: Client) -> None:
    """A worker that is asked to end finishes the operation in flight first, and tells its caller."""
    job = submit_endless(client, timeout_s=8)
    psutil.Process(worker.pid).terminate()
    # Of the worker and its caller, either may be the first to see that the time is up.
    with pytest.raises(DeadlinePassed):
        job.result()
    assert worker.wait(60) == 0, worker.log_tail()
    assert tasks_in_log(worker.log_path, "gpu.vlm.ask", "raised expected")


def refused_with_figures(client: Client) -> None:
    """R6.4: before anything is moved, with needed, free and total."""
    for refused in (lambda: client.ask("hello"), lambda: client.set_mode("RECORDING"), client.ensure_vlm_loaded):
        with pytest.raises(NotEnoughVram) as caught:
            refused()
        assert isinstance(caught.value, SingletrackError)
        assert caught.value.kind == "capacity"
        assert caught.value.details == {
            "needed_mb": VLM_MB,
            "free_mb": VLM_MB + 100 - 300,
            "freeable_mb": 0,
            "total_mb": VLM_MB + 100,
        }
    client.submit(Tick()).result()
    (reason,) = client.status().reasons
    assert reason.code is DegradedCode.VLM_LOAD_FAILED
    assert f"needs {VLM_MB} MB" in reason.message
    assert client.clip_device() == "cpu"
