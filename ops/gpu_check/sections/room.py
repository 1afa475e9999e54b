"""Where memory is really short: the visitor's rule, refusals with figures, loads that fit in part or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpu_check.bench import Bench, shown, steps_of
from gpu_check.driver import settled_mb
from gpu_check.lab import Lab
from gpu_check.limits import FIGURES_MB
from gpu_check.report import Findings
from singletrack_tasks.errors import NotEnoughVram, SingletrackError
from singletrack_worker.gpu.out_of_memory import is_out_of_memory

_BATCH, _BATCHES = 64, 3
# The room that is left for a second tenant that does not fit (MiB).
_SLIVER_MB = 200
_HAIR_MB = 6


class RoomCheck:
    """One bench, whose GPU others fill up."""

    def __init__(self, lab: Lab, found: Findings, bench: Bench) -> None:
        self._lab, self._found, self._bench = lab, found, bench

    def check(self) -> None:
        """From plenty of room to none."""
        self._visits()
        self._by_a_hair()
        self._no_room()

    def _visits(self) -> None:
        bench, found = self._bench, self._found
        bench.mode("AUTOPILOT")
        self._visit("first visit, of unknown size: CLIP steps aside", ["demote_clip", "load_vlm"])
        tick = bench.idle_tick()
        found.expect("the idle VLM leaves (P8)", tick.idle_unloaded and not bench.listed, tick.idle_unloaded)
        found.expect("and CLIP is back", bench.on_gpu, bench.clip.device, shown(tick))
        self._visit("second visit, room for both", ["load_vlm"])
        found.expect("CLIP stayed on the GPU", bench.on_gpu, bench.clip.device)
        bench.idle_tick()
        with self._filled(bench.footprint_mb("vlm") + _SLIVER_MB):
            self._visit("visit with room for one of them", ["demote_clip", "load_vlm"])
            tick = bench.idle_tick()
            found.expect("and CLIP is back after it", bench.on_gpu, bench.clip.device, shown(tick))

    def _visit(self, what: str, expected: list[str]) -> None:
        answer = self._bench.ask()
        as_expected = steps_of(answer) == expected and answer.device == "gpu"
        self._found.expect(what, as_expected, f"{steps_of(answer)}, on {answer.device}", shown(answer))

    def _by_a_hair(self) -> None:
        """A batch for which there is no room beside CLIP must be answered all the same."""
        bench, answered, falls = self._bench, 0, 0
        bench.empty()
        with self._filled(bench.footprint_mb("clip") + _HAIR_MB):
            bench.mode("AUTOPILOT")
            self._found.tell("AUTOPILOT with room for CLIP by a hair: its device", bench.clip.device)
            for number in range(_BATCHES):
                was_on_gpu = bench.on_gpu
                answered += len(bench.clip.embed_images(self._pictures(number)))
                falls += was_on_gpu and not bench.on_gpu
                bench.tick()
            whole = answered == _BATCHES * _BATCH
            self._found.expect("images embedded there, in large batches", whole, answered, bench.codes)
            self._found.tell("times that CLIP fell off the GPU meanwhile", falls)

    def _pictures(self, shade: int) -> list[bytes]:
        model = self._bench.clip.model
        size = 0 if model is None else model.image_size
        return [bytes([shade]) * (size * size * 3)] * _BATCH

    def _no_room(self) -> None:
        bench, found = self._bench, self._found
        bench.empty()
        with self._filled(bench.footprint_mb("clip") // 2):
            result = bench.mode("AUTOPILOT")
            found.expect("AUTOPILOT without room: CLIP stays", not bench.on_gpu, bench.clip.device, shown(result))
            self._refused("RECORDING without room", lambda: bench.mode("RECORDING"))
            self._refused("a question without room", bench.ask)
        ticks = bench.ticks_until_healthy(1)
        found.expect("room again: CLIP is back by the next tick", ticks == 1, bench.clip.device, bench.codes)

    def _refused(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except SingletrackError as error:
            off_mb = int(error.details.get("free_mb", 0)) - self._lab.driver.free_mb()
            told = isinstance(error, NotEnoughVram) and abs(off_mb) <= FIGURES_MB
            self._found.expect(f"{what}: refused, figures off by MB", told, off_mb, error)
        else:
            self._found.expect(f"{what}: refused", False, "not refused")

    @contextmanager
    def _filled(self, leave_mb: int) -> Iterator[None]:
        stranger = self._lab.stranger(leave_mb=leave_mb)
        try:
            yield
        finally:
            stranger.end()
            settled_mb(self._lab.driver)


def run(lab: Lab, found: Findings) -> None:
    """Fill the GPU up by and by, then let loads fail."""
    with lab.server() as server:
        with lab.bench(server, idle_timeout_s=1.0) as bench:
            RoomCheck(lab, found, bench).check()
        with lab.bench(server) as bench:
            _in_part(lab, found, bench)
            _not_at_all(found, bench)


def _in_part(lab: Lab, found: Findings, bench: Bench) -> None:
    """A model that was never seen: nobody knows its size before it is loaded."""
    stranger = lab.stranger(leave_mb=int(lab.sizes.small_mb * 0.65))
    try:
        result = bench.mode("RECORDING")
        found.expect(
            "a load that fits in part is a reason", "vlm_partly_on_cpu" in bench.codes, bench.codes, shown(result)
        )
    finally:
        stranger.end()
    bench.unload()


def _not_at_all(found: Findings, bench: Bench) -> None:
    bench.server.behaviour.failing_loads = 9
    result = bench.mode("RECORDING")
    found.expect(
        "a load that fails three times is a reason", "vlm_load_failed" in bench.codes, bench.codes, shown(result)
    )
    errors = [error for _, error in bench.steps.moves if error is not None]
    counts = bool(errors) and is_out_of_memory(errors[-1])
    found.expect("and counts as out of memory", counts, counts)
    bench.server.behaviour.failing_loads = 0
