"""A real Redis, a real worker and beat: the same, seen from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gpu_check.driver import seconds_until
from gpu_check.lab import SMALL, TOTAL_MB, Lab
from gpu_check.report import Findings, say
from singletrack import Client
from singletrack_ops.stack import GpuChoice, Stack
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_tasks.errors import SingletrackError

_IDLE_S = 4
_LIMIT_S = 240.0
_GONE_LIMIT_S = 60.0
_STRANGER_MB = 800
_DOCTOR_S = 120.0
_TAIL_CHARS = 500


class StackCheck:
    """A running stack and its client."""

    def __init__(self, lab: Lab, found: Findings, stack: Stack, client: Client, server: StandInOllama) -> None:
        self._lab, self._found = lab, found
        self._stack, self._client, self._server = stack, client, server

    def check(self) -> None:
        """Modes, answers, upkeep, and what is killed."""
        gpu = self._client.status().gpu
        self._found.expect("the status has the GPU", gpu is not None, gpu and gpu.name)
        for mode in ("AUTOPILOT", "RECORDING", "AUTOPILOT"):
            self._change(mode)
        self._work()
        self._encoder_is_killed()
        if self._lab.is_real:
            self._stranger()
        self._worker_is_killed()
        self._doctor()

    def _change(self, mode: str) -> None:
        began_s = time.monotonic()
        result = self._client.set_mode(mode)
        well = all(receipt.ok for receipt in result.receipts) and not result.reasons
        steps = [(it.step, it.vram_before_mb, it.vram_after_mb, round(it.duration_s, 2)) for it in result.receipts]
        reasons = [reason.message for reason in result.reasons]
        self._found.expect(f"{mode} after s, with steps", well, f"{time.monotonic() - began_s:.2f} {steps}", reasons)

    def _work(self) -> None:
        rows = self._client.embed_texts(["a button", "a field"])
        self._found.expect("an embedding is made on", rows.device == self._lab.clip_device, rows.device)
        answer = self._client.ask("What is this?", timeout_s=_LIMIT_S)
        self._found.expect("a question is answered on", answer.result.device == "gpu", answer.result.device)
        after_s = seconds_until(lambda: not self._server.loaded, limit_s=_IDLE_S + _LIMIT_S)
        self._found.expect(f"beat's check unloads the VLM, idle for {_IDLE_S} s, after s", after_s is not None, after_s)

    def _encoder_is_killed(self) -> None:
        self._until(lambda: self._client.status().clip.gpu_pid is not None, "CLIP is on the GPU again")
        pid = self._client.status().clip.gpu_pid
        if pid is None:
            return
        _kill(pid)
        rows = self._client.embed_texts([f"after the kill {time.time()}"])
        self._found.expect("encoder killed: an embedding is made all the same, on", len(rows.vectors) == 1, rows.device)
        self._until(lambda: self._client.status().clip.gpu_pid not in (None, pid), "encoder killed: CLIP is back")

    def _stranger(self) -> None:
        stranger = self._lab.stranger(_STRANGER_MB)
        try:
            self._until(lambda: bool(self._client.status().drift), "a stranger is in the status")
        finally:
            stranger.end()

    def _worker_is_killed(self) -> None:
        self._until(lambda: self._client.status().clip.gpu_pid is not None, "CLIP is on the GPU before the kill")
        pid = self._client.status().clip.gpu_pid
        _kill(self._client.status().worker.pid)
        gone_s = seconds_until(lambda: not Path(f"/proc/{pid}").exists(), limit_s=_GONE_LIMIT_S)
        listed = pid in self._lab.driver.held_mb()
        self._found.expect("worker killed: its encoder is gone after s", gone_s is not None and not listed, gone_s)

    def _doctor(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "singletrack", "doctor"],
            env=dict(self._stack.worker_env),
            capture_output=True,
            text=True,
            timeout=_DOCTOR_S,
            check=False,
        )
        self._found.tell("the doctor ends with", done.returncode, done.stdout[-_TAIL_CHARS:])
        log = (self._stack.folder / "worker.log").read_text(encoding="utf-8", errors="replace")
        errors = [line for line in log.splitlines() if '"ERROR"' in line or "Traceback" in line]
        self._found.expect("errors in the worker's log", not errors, len(errors), errors[:2])

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            with suppress(SingletrackError):
                return condition()
            return False

        took_s = seconds_until(holds, limit_s=_LIMIT_S)
        self._found.expect(f"{what}, after s", took_s is not None, took_s and round(took_s, 2))


def run(lab: Lab, found: Findings) -> None:
    """Start the stack and look at it from outside."""
    # A worker with a simulated GPU counts the memory itself, whatever the server does.
    server = lab.server() if lab.is_real else StandInOllama(lab.sizes.by_name)
    with server, _start(lab, server) as stack, stack.client() as client:
        StackCheck(lab, found, stack, client, server).check()


def _start(lab: Lab, server: StandInOllama) -> Stack:
    work = lab.options.work
    (work / "locks").mkdir(parents=True, exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SINGLETRACK_")}
    settings = {
        "OLLAMA_URL": server.url,
        "VLM_MODEL": SMALL,
        "CLIP_WEIGHTS": lab.weights,
        "IDLE_TIMEOUT_S": str(_IDLE_S),
        "TICK_INTERVAL_S": "1",
        "TRACK": "gpucheck",
        "GPU_INDEX": str(lab.options.gpu_index),
        "LOCK_DIR": str(work / "locks"),
        "FLIGHT_DIR": str(work / "flights"),
        "METRICS_PORT": "0",
        "SIMULATED_TOTAL_MB": str(TOTAL_MB),
    }
    environ = clean | {f"SINGLETRACK_{name}": value for name, value in settings.items()}
    gpu: GpuChoice = "auto" if lab.is_real else "simulated"
    return Stack.start(work / "stack", environ=environ, with_flower=False, gpu=gpu, say=lambda text: say(f"    {text}"))


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, 9)
