"""The tenants' VRAM footprints on this GPU, learned from the driver's figures."""

from singletrack_worker.gpu.stores import SavedState
from singletrack_worker.settings import GPUResourceConfig


class Footprints:
    """The VRAM that each tenant took when it was last entirely on the GPU (MiB), None until then."""

    def __init__(self, saved: SavedState, config: GPUResourceConfig) -> None:
        self._saved = saved
        # Keyed by name: another model, or other weights, have their own footprint.
        self._vlm_key = f"vlm:{config.vlm_model}:{config.vlm_num_ctx or 'default'}"
        self._clip_key = f"clip:{config.clip_weights}"

    @property
    def vlm_mb(self) -> int | None:
        """The VLM's footprint."""
        return self._saved.footprints_mb.get(self._vlm_key)

    @vlm_mb.setter
    def vlm_mb(self, taken_mb: int) -> None:
        self._learn(self._vlm_key, taken_mb)

    @property
    def clip_mb(self) -> int | None:
        """The footprint of CLIP's encoder, including its CUDA context."""
        return self._saved.footprints_mb.get(self._clip_key)

    @clip_mb.setter
    def clip_mb(self, taken_mb: int) -> None:
        self._learn(self._clip_key, taken_mb)

    def _learn(self, key: str, taken_mb: int) -> None:
        # A new dict, not a change in place: the status thread may be reading the old one.
        self._saved.footprints_mb = {**self._saved.footprints_mb, key: taken_mb}
