"""RECORDING and AUTOPILOT with a small and a large VLM: what receipts say against what the driver says later."""

import time

from gpu_check.bench import Bench, receipt_of, shown
from gpu_check.driver import came_back_mb, settled_mb
from gpu_check.lab import BIG, SMALL, Lab
from gpu_check.limits import LATE_MB, LOST_MB
from gpu_check.report import Findings
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_tasks.result import OperationResult, StepName

_LATE_S = 1.0


class ModeCheck:
    """One bench with one model; `empty_mb` is in use without tenants."""

    def __init__(self, lab: Lab, found: Findings, bench: Bench) -> None:
        self._lab, self._found, self._bench = lab, found, bench
        self._model = bench.config.vlm_model
        self._empty_mb = settled_mb(lab.driver)

    def check(self) -> None:
        """Change the mode back and forth, then unload late memory."""
        for _ in range(self._lab.times(1, 3)):
            self._to_autopilot_from_idle()
            self._to_recording()
            self._to_autopilot()
        for late_s in (0.0, _LATE_S):
            self._unload(late_s)
        self._bench.empty()
        left_mb = settled_mb(self._lab.driver) - self._empty_mb
        self._expect("MB that never came back", abs(left_mb) <= LOST_MB, left_mb)

    def _to_autopilot_from_idle(self) -> None:
        self._bench.mode("IDLE")
        self._bench.wait_spare()
        result = self._bench.mode("AUTOPILOT")
        self._expect("AUTOPILOT: CLIP is on the GPU (P3)", self._bench.on_gpu, self._bench.clip.device, result.reasons)

    def _to_recording(self) -> None:
        result = self._bench.mode("RECORDING")
        left_mb = self._left_mb(result, "demote_clip")
        gone = left_mb is not None and left_mb <= LOST_MB
        self._expect("RECORDING: MB of CLIP left when the load begins (P6)", gone, left_mb, shown(result))
        loaded = self._bench.listed and not self._bench.codes
        self._expect("RECORDING: the VLM is loaded (P2)", loaded, self._bench.codes or "loaded")
        self._found.figure("to_recording_s", result.duration_s)

    def _to_autopilot(self) -> None:
        self._bench.wait_spare()
        result = self._bench.mode("AUTOPILOT")
        unloaded = not self._bench.listed and not self._bench.codes
        self._expect("AUTOPILOT: the VLM is unloaded (P1)", unloaded, self._bench.codes or "unloaded")
        left_mb = self._left_mb(result, "unload_vlm")
        gone = left_mb is not None and left_mb <= LATE_MB
        self._expect("AUTOPILOT: MB of the VLM left at its receipt (P4)", gone, left_mb, shown(result))
        self._found.tell(f"{self._model}: AUTOPILOT took s", f"{result.duration_s:.2f}")
        self._found.figure("to_autopilot_s", result.duration_s)

    def _unload(self, late_s: float) -> None:
        """Unload a model whose process lives on after it has left the list: the receipt has to wait for it."""
        self._bench.mode("RECORDING")
        self._bench.mode("IDLE")
        self._bench.server.behaviour.free_after_s = late_s
        began_s = time.monotonic()
        result = self._bench.unload()
        took_s = time.monotonic() - began_s
        late_mb, _ = came_back_mb(self._lab.driver, self._empty_mb, within_mb=LOST_MB)
        self._bench.server.behaviour.free_after_s = 0.0
        what = f"unloaded, its process lives on for {late_s} s: MB that came back after the receipt"
        self._expect(what, late_mb <= LATE_MB and took_s >= late_s, late_mb, shown(result))

    def _left_mb(self, result: OperationResult, step: StepName) -> int | None:
        receipt = receipt_of(result, step)
        after_mb = None if receipt is None else receipt.vram_after_mb
        return None if after_mb is None else after_mb - self._empty_mb

    def _expect(self, what: str, holds: bool, value: object, note: object = "") -> None:
        self._found.expect(f"{self._model}: {what}", holds, value, note)


def run(lab: Lab, found: Findings) -> None:
    """Check each model that the GPU has room for."""
    with lab.server() as server:
        models = (SMALL, BIG) if lab.sizes.big_mb else (SMALL,)
        for model in models[: lab.times(1, len(models))]:
            _check(lab, found, server, model)


def _check(lab: Lab, found: Findings, server: StandInOllama, model: str) -> None:
    with lab.bench(server, model=model) as bench:
        bench.mode("IDLE")
        ModeCheck(lab, found, bench).check()
