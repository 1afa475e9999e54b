"""Random operations from a seed, and the properties P1 to P6 after each of them by the driver's own figures."""

import random
import statistics
import time
from collections import Counter

from gpu_check.bench import Bench
from gpu_check.driver import settled_mb
from gpu_check.lab import Lab
from gpu_check.limits import LOST_MB
from gpu_check.properties import Alone, Deed, broken
from gpu_check.report import Findings
from singletrack_tasks.result import OperationResult

OPERATIONS, FAST_OPERATIONS = 200, 24
MODES = ("AUTOPILOT", "RECORDING", "IDLE")
_CHOICES = (*MODES, "AUTOPILOT", "RECORDING", "ask", "tick", "embed")
_IDLE_S = 1.0
_SHOWN = 3


class RandomCheck:
    """One bench, and what its operations did."""

    def __init__(self, lab: Lab, bench: Bench) -> None:
        self._lab, self._bench = lab, bench
        self._dice = random.Random(lab.options.seed)  # noqa: S311 - a seed has to make the same operations
        self._mode = "IDLE"
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.promotions_s: list[float] = []

    def measure(self) -> Alone:
        """Measure each tenant alone."""
        self._bench.empty()
        base_mb = settled_mb(self._lab.driver)
        self._bench.mode("AUTOPILOT")
        clip_mb = settled_mb(self._lab.driver) - base_mb
        self._bench.mode("RECORDING")
        vlm_mb = settled_mb(self._lab.driver) - base_mb
        self._mode = "RECORDING"
        return Alone(base_mb, clip_mb, vlm_mb)

    def one(self, alone: Alone) -> None:
        """Do something, and look."""
        what = self._dice.choice(_CHOICES)
        result = self._do(what)
        self.counts[what] += 1
        self.promotions_s += [it.duration_s for it in result.receipts if it.step == "promote_clip"]
        wrong = list(broken(self._look(what, result), alone))
        if any(rule in ("sum", "P5") for rule, _ in wrong):
            # A figure that was read while memory was on its way is read again.
            settled_mb(self._lab.driver, rest_s=0.3, limit_s=2.0)
            wrong = list(broken(self._look(what, result), alone))
        number = self.counts.total()
        self.broken += [f"{number}. {what} in {self._mode}: {rule}: {text}" for rule, text in wrong]

    def _do(self, what: str) -> OperationResult:
        if what in MODES:
            self._mode = what
            return self._bench.mode(what)
        if what == "ask":
            return self._bench.ask()
        if what == "tick":
            time.sleep(self._dice.choice((0, 0, _IDLE_S * 1.2)))
            return self._bench.tick()
        return self._bench.texts(f"text {self.counts.total()}")

    def _look(self, what: str, result: OperationResult) -> Deed:
        status = self._bench.status
        return Deed(
            what=what,
            mode=self._mode,
            receipts=result.receipts,
            listed=self._bench.listed,
            on_gpu=self._bench.on_gpu,
            gpu_pid=status.clip.gpu_pid,
            used_mb=self._lab.driver.used_mb(),
            free_mb=self._lab.driver.free_mb(),
            status_used_mb=None if status.vram is None else status.vram.used_mb,
            codes=self._bench.codes,
        )


def run(lab: Lab, found: Findings) -> None:
    """Do them, and tell what was broken."""
    with lab.server() as server, lab.bench(server, tiny=True, idle_timeout_s=_IDLE_S) as bench:
        check = RandomCheck(lab, bench)
        alone = check.measure()
        found.tell("in use alone, MB: nobody, CLIP, VLM", f"{alone.base_mb}, {alone.clip_mb}, {alone.vlm_mb}")
        for _ in range(lab.times(FAST_OPERATIONS, OPERATIONS)):
            check.one(alone)
        found.tell("operations", f"{check.counts.total()}: {dict(check.counts)}")
        found.expect("properties broken", not check.broken, len(check.broken), check.broken[:_SHOWN])
        found.figure("random_operations", check.counts.total())
        if check.promotions_s:
            worst_s, median_s = max(check.promotions_s), statistics.median(check.promotions_s)
            found.tell("promotions: median, worst s", f"{median_s:.2f}, {worst_s:.2f}")
        bench.empty()
        left_mb = settled_mb(lab.driver) - alone.base_mb
        found.expect("MB that never came back", abs(left_mb) <= LOST_MB, left_mb)
