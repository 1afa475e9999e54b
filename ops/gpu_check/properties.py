"""The properties P1 to P6, by the driver's figures, as checks of one operation that ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpu_check.limits import LATE_MB, LOST_MB, SUM_MB
from singletrack_tasks.result import StepReceipt

# The part of its memory that a tenant has given back when its receipt says so.
_RELEASED_PART = 0.8
# Room in which CLIP is sure to fit, its growth at work included (MiB).
_PLENTY_MB = 2048


@dataclass(frozen=True)
class Alone:
    """What is in use without tenants, and what each of them takes alone, by the driver (MiB)."""

    base_mb: int
    clip_mb: int
    vlm_mb: int


@dataclass(frozen=True)
class Deed:
    """An operation that ended, and what was so right after it.

    `used_mb` and `free_mb` are the driver's (MiB), `status_used_mb` what the status said.
    """

    what: str
    mode: str
    receipts: Sequence[StepReceipt]
    listed: bool
    on_gpu: bool
    gpu_pid: int | None
    used_mb: int
    free_mb: int
    status_used_mb: int | None
    codes: Sequence[str]

    @property
    def changed_mode(self) -> bool:
        """Whether it was a change to the mode that holds now."""
        return self.what == self.mode


def broken(deed: Deed, alone: Alone) -> Iterator[tuple[str, str]]:
    """Name the properties that an operation broke, and how."""
    reasonless = not deed.codes
    if deed.changed_mode and deed.mode == "AUTOPILOT" and deed.listed and reasonless:
        yield "P1", "the VLM is still loaded, without a reason"
    if deed.changed_mode and deed.mode == "RECORDING" and not deed.listed and reasonless:
        yield "P2", "the VLM is not loaded, without a reason"
    settled = deed.mode == "AUTOPILOT" and (deed.changed_mode or deed.what == "tick")
    if settled and not deed.on_gpu and deed.free_mb > alone.clip_mb + _PLENTY_MB and reasonless:
        yield "P3", f"CLIP is on the CPU, and {deed.free_mb} MB are free"
    yield from _releases(deed, alone)
    if deed.status_used_mb is None or abs(deed.status_used_mb - deed.used_mb) > LATE_MB:
        yield "P5", f"the status says {deed.status_used_mb} MB, the driver {deed.used_mb}"
    if deed.on_gpu != (deed.gpu_pid is not None):
        yield "P5", "the status has a process on the GPU and no device there, or the other way round"
    yield from _order(deed)
    expected_mb = alone.base_mb + alone.clip_mb * deed.on_gpu + alone.vlm_mb * deed.listed
    if abs(deed.used_mb - expected_mb) > SUM_MB:
        yield "sum", f"{deed.used_mb} MB are in use where {expected_mb} were expected"


def _releases(deed: Deed, alone: Alone) -> Iterator[tuple[str, str]]:
    for rule, step, taken_mb in (("P4", "unload_vlm", alone.vlm_mb), ("P6", "demote_clip", alone.clip_mb)):
        for receipt in deed.receipts:
            before_mb, after_mb = receipt.vram_before_mb, receipt.vram_after_mb
            if receipt.step != step or not receipt.ok or before_mb is None or after_mb is None:
                continue
            if before_mb - after_mb < _RELEASED_PART * taken_mb - LOST_MB:
                yield rule, f"{step}: only {before_mb - after_mb} of {taken_mb} MB are back at the receipt"


def _order(deed: Deed) -> Iterator[tuple[str, str]]:
    steps = [receipt.step for receipt in deed.receipts]
    if "load_vlm" in steps and "demote_clip" in steps and steps.index("demote_clip") > steps.index("load_vlm"):
        yield "P6", "CLIP left after the load had begun"
    if deed.mode == "RECORDING" and deed.changed_mode and deed.on_gpu:
        yield "P6", "CLIP is on the GPU in RECORDING"
