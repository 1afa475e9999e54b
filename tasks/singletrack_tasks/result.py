"""The base of every result: receipts of steps, reasons for degraded mode, times."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from singletrack_tasks.message import Message


class DegradedCode(StrEnum):
    """Why the system does less than it is configured for."""

    NO_GPU = "no_gpu"
    GPU_UNREADABLE = "gpu_unreadable"
    OLLAMA_UNREACHABLE = "ollama_unreachable"
    OLLAMA_SHARED = "ollama_shared"
    VLM_MODEL_MISSING = "vlm_model_missing"
    VLM_LOAD_FAILED = "vlm_load_failed"
    VLM_PARTLY_ON_CPU = "vlm_partly_on_cpu"
    VLM_VRAM_SHORT = "vlm_vram_short"
    VRAM_NOT_RELEASED = "vram_not_released"
    CLIP_UNAVAILABLE = "clip_unavailable"
    CLIP_MIGRATION_FAILED = "clip_migration_failed"
    WORKER_TROUBLE = "worker_trouble"
    CHECKS_MISSING = "checks_missing"


class Degradation(Message):
    """One reason for degraded mode, and when it appeared (Unix time, seconds)."""

    code: DegradedCode
    message: str
    since_unix_s: float


StepName = Literal["unload_vlm", "load_vlm", "demote_clip", "promote_clip"]


def release_tolerance_mb(taken_mb: int) -> int:
    """Return how much of a tenant's memory (MiB) may still be in use for it to count as released."""
    return max(64, taken_mb // 20)


class StepReceipt(Message):
    """The record of one transition step: VRAM in use before and after (MiB, None without a reading), and its duration.

    `verified` says whether readings of the driver bear it out; without them, only the tenant's own word does. Of a
    tenant that left the GPU: `taken_mb` is what it was known to hold, `left_mb` how much of that was still in use at
    the end. `usable_after_s` is when most of it was free, enough to go on with, and `released_after_s` when all but
    `release_tolerance_mb` was, both in seconds after the tenant had gone; None where that was not seen.
    """

    step: StepName
    ok: bool
    verified: bool = False
    vram_before_mb: int | None = None
    vram_after_mb: int | None = None
    duration_s: float = Field(ge=0)
    attempts: int = 1
    detail: str = ""
    taken_mb: int | None = None
    left_mb: int | None = None
    usable_after_s: float | None = None
    released_after_s: float | None = None


class OperationResult(Message):
    """The base of every result: the steps taken to make the GPU ready, and the times.

    `waited_s` is the time in the queue, `duration_s` the time with the GPU, including the steps.
    """

    receipts: tuple[StepReceipt, ...] = ()
    reasons: tuple[Degradation, ...] = ()
    waited_s: float | None = None
    duration_s: float = Field(default=0, ge=0)

    @property
    def degraded(self) -> bool:
        """Whether the system was degraded when the operation ended."""
        return bool(self.reasons)

    @property
    def done(self) -> str:
        """The outcome, in a few words."""
        return "done"

    @property
    def summary(self) -> str:
        """One short line for logs and Flower, with nothing from the request or the answer in it."""
        took = f"{self.duration_s:.1f} s" if self.duration_s >= 1 else f"{self.duration_s * 1000:.0f} ms"
        steps = ", ".join(receipt.step if receipt.ok else f"{receipt.step} failed" for receipt in self.receipts)
        codes = ", ".join(reason.code for reason in self.reasons)
        return f"{self.done} in {took}{steps and f' ({steps})'}{codes and f', degraded: {codes}'}"
