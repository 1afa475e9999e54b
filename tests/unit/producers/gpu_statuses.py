"""Statuses of a track with a GPU, and events that tell of its memory."""

from typing import Any

from singletrack_tasks.events import ClipMigrated, ModeChanged, ResourceChanged, VlmLoaded, VlmUnloaded
from singletrack_tasks.result import StepName, StepReceipt
from singletrack_tasks.status import (
    ClipModel,
    ClipStatus,
    ExecutionMode,
    GpuInfo,
    GPUResourceStatus,
    ModelState,
    VlmStatus,
    VRAMInfo,
    WorkerInfo,
)

START = 1_000_000.0
TOTAL_MB = 8000


def on_gpu(used_mb: int = 1000, **changed: Any) -> GPUResourceStatus:
    """A status of an idle worker with a GPU; `changed` fields differ from it."""
    fields: dict[str, Any] = {
        "track": "gpu0",
        "taken_unix_s": START,
        "worker": WorkerInfo(host="host", pid=1, release="0", started_unix_s=START),
        "mode": ExecutionMode.IDLE,
        "gpu": GpuInfo(name="some GPU", uuid="GPU-0"),
        "vram": VRAMInfo(total_mb=TOTAL_MB, used_mb=used_mb, free_mb=TOTAL_MB - used_mb),
        "vlm": VlmStatus(model="some-vlm", state=ModelState.UNLOADED),
        "clip": ClipStatus(),
        "degraded": False,
    }
    return GPUResourceStatus(**(fields | changed))


def vlm(state: ModelState = ModelState.LOADED, **changed: Any) -> VlmStatus:
    return VlmStatus(model="some-vlm", state=state, **changed)


def clip(device: str = "cuda:0", **changed: Any) -> ClipStatus:
    model = ClipModel(name="some-clip", fingerprint="f", dimension=8, image_size=16, context_length=77)
    return ClipStatus(model=model, device=device, **changed)


def receipt(step: StepName, before: int | None, after: int | None) -> StepReceipt:
    return StepReceipt(step=step, ok=True, vram_before_mb=before, vram_after_mb=after, duration_s=1.0)


def promoted(at_s: float, before: int, after: int) -> ClipMigrated:
    step = receipt("promote_clip", before, after)
    return ClipMigrated(at_unix_s=START + at_s, before="cpu", after="cuda:0", receipt=step)


def demoted(at_s: float, before: int, after: int) -> ClipMigrated:
    step = receipt("demote_clip", before, after)
    return ClipMigrated(at_unix_s=START + at_s, before="cuda:0", after="cpu", receipt=step)


def loaded(at_s: float, before: int | None, after: int | None) -> VlmLoaded:
    return VlmLoaded(at_unix_s=START + at_s, model="vlm", receipt=receipt("load_vlm", before, after))


def unloaded(at_s: float, before: int, after: int) -> VlmUnloaded:
    return VlmUnloaded(at_unix_s=START + at_s, model="vlm", receipt=receipt("unload_vlm", before, after))


def changed(at_s: float, before: int, after: int) -> ResourceChanged:
    return ResourceChanged(at_unix_s=START + at_s, before_mb=before, after_mb=after, total_mb=TOTAL_MB)


def to_mode(at_s: float, after: str, before: str = "IDLE") -> ModeChanged:
    return ModeChanged(at_unix_s=START + at_s, before=ExecutionMode(before), after=ExecutionMode(after))
