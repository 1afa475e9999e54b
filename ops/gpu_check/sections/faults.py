"""CLIP's encoder fails on the GPU in every way that CUDA knows, and is killed, also in the middle of a migration."""

import os
import signal
import threading
import time
from contextlib import suppress
from itertools import count

from gpu_check.bench import Bench, shown
from gpu_check.driver import came_back_mb, settled_mb
from gpu_check.lab import Lab
from gpu_check.limits import LOST_MB, TICKS
from gpu_check.report import Findings

FAULTS = ("illegal", "hang", "die", "oom", "trap", "nan")
_FAST_FAULTS = 2
# What an encoder may take to embed a text (seconds): a kernel without an end is given up after that.
_ENCODE_TIMEOUT_S = 4.0
_SIMULATED_TIMEOUT_S = 5.0
# Seconds into a migration at which its process is killed.
_MOMENTS_S = (0.05, 0.3, 0.8, 1.5)


class FaultCheck:
    """One bench whose encoders obey; `empty_mb` is in use without tenants."""

    def __init__(self, lab: Lab, found: Findings, bench: Bench) -> None:
        self._lab, self._found, self._bench = lab, found, bench
        self._numbers = count()
        bench.mode("IDLE")
        self._empty_mb = settled_mb(lab.driver)

    def check(self) -> None:
        """Make every fault happen."""
        for fault in FAULTS[: self._lab.times(_FAST_FAULTS, len(FAULTS))]:
            self._at_work(fault)
        self._killed_at_rest()
        for after_s in _MOMENTS_S[: self._lab.times(1, len(_MOMENTS_S))]:
            self._killed_on_the_way(after_s)

    def _at_work(self, fault: str) -> None:
        if not self._ready(fault):
            return
        began_s = time.monotonic()
        device, rows, why = "nowhere", 0, ""
        try:
            answer = self._bench.texts(f"FAULT:{fault} {next(self._numbers)}")
            device, rows = answer.device, answer.vectors.rows
        except Exception as error:  # an answer that is lost is the finding
            why = f"{type(error).__name__}: {error}"
        given_up = self._bench.clip.given_up
        note = why or (given_up.message if given_up else "")
        self._found.expect(f"{fault}: the question is answered on", device == "cpu" and rows == 1, device, note)
        self._found.tell(f"{fault}: that took s", f"{time.monotonic() - began_s:.2f}")
        self._memory_is_back(fault)
        self._clip_is_back(fault)

    def _killed_at_rest(self) -> None:
        what = "SIGKILL from outside"
        pid = self._bench.clip.pids[1]
        if self._ready(what) and pid is not None:
            os.kill(self._bench.clip.pids[1] or pid, signal.SIGKILL)
            self._memory_is_back(what)
            self._clip_is_back(what)

    def _killed_on_the_way(self, after_s: float) -> None:
        what = f"SIGKILL {after_s} s into the migration"
        self._bench.empty()
        spare = self._bench.wait_spare()
        killer = threading.Timer(after_s, _kill, [spare])
        killer.start()
        result = self._bench.mode("AUTOPILOT")
        killer.join()
        answer = self._bench.texts(f"a text after all {next(self._numbers)}")
        self._found.expect(f"{what}: embeddings go on", answer.vectors.rows == 1, answer.device, shown(result))
        if not self._bench.on_gpu:
            self._memory_is_back(what)
        self._clip_is_back(what)

    def _ready(self, what: str) -> bool:
        self._bench.wait_spare()
        self._bench.mode("AUTOPILOT")
        if not self._bench.on_gpu:
            self._found.expect(f"{what}: CLIP is on the GPU before it", False, self._bench.codes)
        return self._bench.on_gpu

    def _memory_is_back(self, what: str) -> None:
        _, back_s = came_back_mb(self._lab.driver, self._empty_mb, within_mb=LOST_MB)
        left_mb = self._lab.driver.used_mb() - self._empty_mb
        self._found.expect(f"{what}: its memory is back", back_s is not None, f"{left_mb} MB left", back_s)

    def _clip_is_back(self, what: str) -> None:
        ticks = self._bench.ticks_until_healthy(TICKS)
        state = f"{self._bench.clip.device} {self._bench.codes}"
        self._found.expect(f"{what}: CLIP is back by tick", ticks is not None, ticks or "not yet", state)


def run(lab: Lab, found: Findings) -> None:
    """Start a bench whose encoders obey, and give the orders."""
    timeout_s = _ENCODE_TIMEOUT_S if lab.is_real else _SIMULATED_TIMEOUT_S
    with lab.server() as server, lab.bench(server, tiny=True, faulty=True, encode_timeout_s=timeout_s) as bench:
        FaultCheck(lab, found, bench).check()


def _kill(pid: int | None) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
