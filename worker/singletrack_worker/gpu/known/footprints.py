"""The tenants' VRAM footprints on this GPU, learned from the driver's figures."""

from singletrack_worker.gpu.stores import SavedState
from singletrack_worker.settings import GPUResourceConfig

# Ollama leaves 1 GiB of a GPU free beside a model (0.32), and puts the rest of the model on the CPU.
HEADROOM_MB = 1024
# By so much the VRAM to spare was too little that a load ended split with.
_HEADROOM_STEP_MB = 256
# With more to spare than this, it was not for want of room that a load ended split.
_MOST_SPARE_MB = 4096


class Footprints:
    """The VRAM that each tenant took when it was last entirely on the GPU (MiB), None until then."""

    def __init__(self, saved: SavedState, config: GPUResourceConfig) -> None:
        self._saved = saved
        # Keyed by name: another model, or other weights, have their own footprint.
        model = f"{config.vlm_model}:{config.vlm_num_ctx or 'default'}"
        self._vlm_key, self._headroom_key = f"vlm:{model}", f"headroom:{model}"
        self._clip_key = f"clip:{config.clip_weights}"

    @property
    def vlm_mb(self) -> int | None:
        """The VLM's footprint."""
        return self._saved.footprints_mb.get(self._vlm_key)

    @vlm_mb.setter
    def vlm_mb(self, taken_mb: int) -> None:
        self._learn(self._vlm_key, taken_mb)

    @property
    def vlm_headroom_mb(self) -> int:
        """The VRAM to spare that the server wants beside the VLM before it puts all of it on the GPU (MiB)."""
        learned_mb = self._saved.footprints_mb.get(self._headroom_key, HEADROOM_MB)
        return min(learned_mb, _MOST_SPARE_MB + _HEADROOM_STEP_MB)

    def vlm_was_split(self, spare_mb: int) -> None:
        """Note that the server split the VLM although so much VRAM was to spare beside it."""
        if self.vlm_headroom_mb <= spare_mb <= _MOST_SPARE_MB:
            self._learn(self._headroom_key, spare_mb + _HEADROOM_STEP_MB)

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
