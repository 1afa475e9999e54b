"""The result of one look at the GPU."""

from dataclasses import dataclass

from singletrack_tasks.status import ModelState, VRAMInfo


@dataclass(frozen=True)
class Observed:
    """One observation: memory (MiB), the tenants, and their known sizes.

    `vlm_needs_mb` is None for a VLM that was never seen on this GPU; `vlm_wanted` is false for one that has been
    idle for the time-out, or has no last use. `vlm_headroom_mb` is what has to be to spare beside it. `vlm_expected`
    is true for a VLM that is needed within the next seconds, `vlm_due` if it has to be loaded now to be there in time.
    """

    vram: VRAMInfo | None
    vlm: ModelState
    vlm_wanted: bool
    vlm_needs_mb: int | None
    clip_on_gpu: bool
    clip_ready: bool
    clip_needs_mb: int
    vlm_headroom_mb: int
    unreleased: bool = False
    vlm_expected: bool = False
    vlm_due: bool = False
