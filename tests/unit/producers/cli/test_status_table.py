"""The table of `singletrack status`."""

import io

import pytest
from rich.console import Console

from singletrack.cli.screen.status_table import status_table
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import (
    Drift,
    GpuInfo,
    GPUResourceStatus,
    LastError,
    LeaseInfo,
    ModelState,
    OperationInFlight,
    QueueStatus,
    VlmIntents,
)
from tests.unit.producers.gpu_statuses import START, clip, on_gpu, vlm


def shown(now: GPUResourceStatus, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(status_table(now))
    text: str = console.file.getvalue()  # type: ignore[attr-defined] # it is the StringIO above
    assert max(map(len, text.splitlines())) <= width
    return " ".join(text.replace("│", " ").split())


def test_everything_is_told() -> None:
    now = on_gpu(
        7000,
        age_s=0.5,
        lease=LeaseInfo(token=17, since_unix_s=START),
        vlm=vlm(size_mb=6000, vram_mb=5500, footprint_mb=5600, last_used_unix_s=START - 10, idle_timeout_s=300),
        clip=clip(footprint_mb=1000, cpu_pid=11, gpu_pid=12),
        operation=OperationInFlight(
            job_id="some-job",
            kind="embed_images",
            since_unix_s=START - 3,
            stage="promote_clip",
            stage_since_unix_s=START - 1,
        ),
        durations_s={"load_vlm": 12.34, "promote_clip": 2.5},
        queue=QueueStatus(length=12, oldest_age_s=4.1, wait_s=95, next_up=("ask", "mode RECORDING")),
        degraded=True,
        reasons=(Degradation(code=DegradedCode.VLM_PARTLY_ON_CPU, message="a part\nof it", since_unix_s=START),),
        drift=(Drift(what="foreign_vram", name="game", vram_mb=400, pid=7, since_unix_s=START - 60),),
        last_error=LastError(at_unix_s=START, job_id="0123456789", kind="ask", error="OllamaUnreachable", message="no"),
        dead_letters=3,
    )
    text = shown(now)
    for fact in (
        "mode IDLE",
        "GPU some GPU",
        "VRAM 7,000 of 8,000 MB used, 1,000 MB free",
        "█ VLM 5,500 MB ▒ CLIP 1,000 MB ▚ foreign 400 MB ░ other 100 MB · free 1,000 MB",
        "some-vlm: loaded, 5,500 MB of VRAM, 500 MB on the CPU idle for 10.5 s, unloads in 4 min 50 s",
        "takes 5,600 MB, loads in 12.3 s",
        "some-clip on cuda:0 encoder pids: 11 for the CPU, 12 for the GPU takes 1,000 MB, moves to the GPU in 2.5 s",
        "embed_images for 3.5 s (job some-job) promote_clip 1.5 s",
        "12 waiting, the oldest for 4.1 s a job sent now waits about 1 min 35 s next: ask, mode RECORDING, ...",
        "lease token 17, since",
        "degraded vlm_partly_on_cpu: a part of it (since ",
        "drift foreign VRAM: game, 400 MB, pid 7, for 1 min 00 s",
        "ask (job 01234567): OllamaUnreachable: no",
        "dead letters 3: see `singletrack dead list`",
        "worker host, pid 1, release 0, since",
        "snapshot 0.5 s old",
    ):
        assert fact in text
    shown(now, width=60)


def test_an_answer_that_is_being_written_has_a_rate() -> None:
    asking = {"job_id": "1", "kind": "ask", "since_unix_s": START - 20, "stage_since_unix_s": START - 10}
    writing = OperationInFlight(**asking, stage="generate", answer_tokens=225)
    text = shown(on_gpu(operation=writing, age_s=0.4, vlm=vlm(last_used_unix_s=START)))
    assert "generate 10.4 s, 225 tokens, 22.5/s" in text
    assert "some-vlm: loaded in use" in text
    reading = OperationInFlight(**asking, stage="read")
    assert "tokens" not in shown(on_gpu(operation=reading))


@pytest.mark.parametrize(
    ("state", "timeout_s", "idle_s", "told"),
    [
        (ModelState.LOADED, 300, 301, "idle for 5 min 01 s, unloads at the next check"),
        (ModelState.LOADED, 0, 301, "idle for 5 min 01 s, stays when idle"),
        (ModelState.UNLOADED, 300, 7200, "unloaded last used 2 h 00 min ago"),
    ],
)
def test_when_the_vlm_goes(state: ModelState, timeout_s: float, idle_s: float, told: str) -> None:
    assert told in shown(on_gpu(vlm=vlm(state, last_used_unix_s=START - idle_s, idle_timeout_s=timeout_s)))


@pytest.mark.parametrize(
    ("in_s", "told"), [(12, "announced to be needed in 12.0 s"), (-1, "announced to be needed now")]
)
def test_an_announced_need_is_told(in_s: float, told: str) -> None:
    intents = VlmIntents(waiting=1, needed_unix_s=START + in_s, until_unix_s=START + 60)
    assert told in shown(on_gpu(intents=intents))
    assert "announced" not in shown(on_gpu())


@pytest.mark.parametrize(
    ("name", "told"), [("simulated 8 GiB GPU", "GPU simulated 8 GiB GPU"), ("another", "GPU another (simulated)")]
)
def test_a_simulated_gpu_says_so_once(name: str, told: str) -> None:
    text = shown(on_gpu(gpu=GpuInfo(name=name, uuid="GPU-0", simulated=True)))
    assert told in text
    assert text.count("simulated") == 1


def test_what_is_not_there_is_not_made_up() -> None:
    text = shown(on_gpu(gpu=None, vram=None))
    for fact in (
        "GPU none: everything runs on the CPU",
        "VRAM none",
        "CLIP not loaded",
        "operation none",
        "queue unknown",
    ):
        assert fact in text
    assert "lease unknown" in text
    for absent in ("degraded", "drift", "last error", "dead letters", "snapshot", "of VRAM", "free"):
        assert absent not in text
    assert "another worker has the track" in shown(on_gpu(lease=LeaseInfo(token=0, since_unix_s=START)))


@pytest.mark.parametrize(
    ("wait_s", "told"), [(None, "no estimate of the wait yet"), (0.0, "a job begins at once"), (3, "waits about 3.0 s")]
)
def test_the_wait_is_told_as_far_as_it_is_known(wait_s: float | None, told: str) -> None:
    assert told in shown(on_gpu(queue=QueueStatus(length=0, wait_s=wait_s)))


def test_a_job_that_is_held_back_is_named() -> None:
    text = shown(on_gpu(queue=QueueStatus(length=1, suspects={"0123456789": 2})))
    assert "held back: 01234567 (2 starts without an end)" in text


def test_texts_of_others_cannot_talk_to_the_terminal() -> None:
    error = LastError(at_unix_s=START, job_id=None, kind="ask", error="Odd", message="a\x1b[2Jb\nc [red]d")
    assert "Odd: a\N{REPLACEMENT CHARACTER}[2Jb c [red]d" in shown(on_gpu(last_error=error))
