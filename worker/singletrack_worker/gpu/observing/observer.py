"""The actual state of the GPU, read again before every decision."""

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.result import DegradedCode, release_tolerance_mb
from singletrack_tasks.status import ModelState, VRAMInfo
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.observing.observed import Observed
from singletrack_worker.gpu.tenants import Tenants, VlmListing
from singletrack_worker.settings import GPUResourceConfig

# A model that takes less than this part of its footprint is partly elsewhere.
SHORT_PART = 0.8
# The same for a model without a footprint, relative to the server's figure for its VRAM.
SHORT_OF_LISTED_PART = 0.5
# VRAM that CUDA may take for itself beside a model, libraries included (MiB).
CONTEXT_MB = 1024


class Observer:
    """Reads the driver, the server and the encoders, and maintains the reasons that follow from the readings."""

    def __init__(self, config: GPUResourceConfig, tenants: Tenants, track: Track) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._track = track
        # VRAM that the last complete load took, by the driver and by the server (MiB).
        self._took_mb: tuple[int, int] | None = None
        self.judge_gpu(tenants.vram.read())

    def observe(self) -> Observed:
        """Read everything; a server that does not answer is a reason, not an error (R1.5)."""
        self._look_at_server()
        vram = self._vram.read()
        self.judge_gpu(vram)
        self._judge_placement()
        self._judge_release(vram)
        return Observed(
            vram=vram,
            vlm=self._track.life.state,
            vlm_wanted=self._track.use.wanted,
            vlm_needs_mb=self._track.footprints.vlm_mb,
            clip_on_gpu=self._clip.device != "cpu",
            clip_ready=self._clip.model is not None,
            clip_needs_mb=self.clip_needs_mb,
            vlm_headroom_mb=self._track.footprints.vlm_headroom_mb,
            unreleased=self._track.release.overdue,
            vlm_expected=self._track.intents.expected,
            vlm_due=self._track.intents.due,
        )

    @property
    def clip_needs_mb(self) -> int:
        """CLIP's VRAM on the GPU: measured, or else as configured (MiB)."""
        return self._track.footprints.clip_mb or self._config.clip_mb

    def judge_gpu(self, vram: VRAMInfo | None) -> None:
        """Set or clear the reason for a missing GPU, and for one of which the driver tells nothing."""
        if vram is not None:
            self._track.reasons.clear(DegradedCode.NO_GPU, DegradedCode.GPU_UNREADABLE)
        elif self._vram.gpu is None:
            self._track.reasons.add(
                DegradedCode.NO_GPU, self._vram.reason or "there is no GPU: everything runs on the CPU"
            )
        else:
            self._track.reasons.add(
                DegradedCode.GPU_UNREADABLE, self._vram.reason or "the driver does not tell the GPU's memory"
            )

    def _look_at_server(self) -> None:
        track = self._track
        try:
            track.listing, track.server_error = self._vlm.listing(), None
        except SingletrackError as error:
            track.listing, track.server_error = None, error
            track.life.to(ModelState.UNAVAILABLE)
            track.reasons.add(DegradedCode.OLLAMA_UNREACHABLE, error.message)
            return
        track.reasons.clear(DegradedCode.OLLAMA_UNREACHABLE)
        track.life.saw(listed=track.listing is not None)
        if track.listing is None:
            track.reasons.clear(DegradedCode.VLM_VRAM_SHORT)
        else:
            track.reasons.clear(DegradedCode.VLM_LOAD_FAILED, DegradedCode.VLM_MODEL_MISSING)
            track.use.adopt()

    def _judge_placement(self) -> None:
        """Set or clear the reason for a model that is partly on the CPU although there is a GPU."""
        listing = self._track.listing
        if self._vram.gpu is None or listing is None or listing.vram_mb >= listing.size_mb:
            self._track.reasons.clear(DegradedCode.VLM_PARTLY_ON_CPU)
            return
        self._track.reasons.add(
            DegradedCode.VLM_PARTLY_ON_CPU,
            f"{listing.vram_mb} of the {listing.size_mb} MB of {self._vlm.model} are on the GPU, the rest is on the "
            "CPU and slow. Free VRAM and load it again, or choose a smaller model.",
        )

    def _judge_release(self, vram: VRAMInfo | None) -> None:
        """Clear the reason for unreleased VRAM once late memory is free or, if none is late, the model is gone."""
        release = self._track.release
        if not release.is_back(None if vram is None else vram.used_mb):
            return
        if release.overdue or self._track.life.state in (ModelState.UNLOADED, ModelState.FAILED):
            release.settle()
            self._track.reasons.clear(DegradedCode.VRAM_NOT_RELEASED)

    def learn_vlm(self, before_mb: int | None, after_mb: int | None) -> None:
        """Compare the VRAM that a load took (MiB) with the footprint, and learn the footprint of a complete load."""
        listing = self._track.listing
        if before_mb is None or after_mb is None or listing is None:
            return
        taken_mb = after_mb - before_mb
        self._took_mb = None
        least_mb = (self._track.footprints.vlm_mb or 0) * SHORT_PART or listing.vram_mb * SHORT_OF_LISTED_PART
        # The server's figure leaves out what CUDA takes, and the vision part of some models. Whatever is above this
        # may have been taken by another process meanwhile.
        all_its_own = taken_mb <= listing.vram_mb * 1.25 + CONTEXT_MB
        if taken_mb < least_mb and not self._was_all_there(taken_mb, before_mb, listing):
            self._learn_headroom(before_mb)
            self._track.reasons.add(
                DegradedCode.VLM_VRAM_SHORT,
                f"{self._vlm.model} took {taken_mb} MB of this GPU's VRAM where at least {least_mb:.0f} MB were "
                "expected: a part of it, perhaps its vision part, is on the CPU or on another GPU. Free VRAM and load "
                "it again.",
            )
            return
        self._track.reasons.clear(DegradedCode.VLM_VRAM_SHORT)
        if listing.vram_mb < listing.size_mb:
            if all_its_own:
                self._learn_headroom(before_mb)
            return
        self._took_mb = taken_mb, listing.vram_mb
        if all_its_own:
            self._track.footprints.vlm_mb = taken_mb

    def _was_all_there(self, taken_mb: int, before_mb: int, listing: VlmListing) -> bool:
        """Whether a load took less than the footprint because that is too large: there was room for it, and to spare.

        Another process took memory amid the load that it was learned from.
        """
        vram, track = self._vram.read(), self._track
        needs_mb = (track.footprints.vlm_mb or 0) + track.footprints.vlm_headroom_mb
        roomy = vram is not None and vram.total_mb - before_mb >= needs_mb
        return roomy and listing.size_mb <= listing.vram_mb <= taken_mb

    def learn_vlm_gone(self, before_mb: int | None, after_mb: int | None) -> None:
        """Learn the footprint from what the unload of a complete load gave back (MiB): if as much, all was the model's.

        If less, but not less than the server listed, another process took the rest amid the load.
        """
        took_mb, self._took_mb = self._took_mb, None
        if took_mb is None or before_mb is None or after_mb is None:
            return
        taken_mb, listed_mb = took_mb
        back_mb = before_mb - after_mb
        if abs(back_mb - taken_mb) <= release_tolerance_mb(taken_mb):
            self._track.footprints.vlm_mb = taken_mb
        elif listed_mb <= back_mb < taken_mb == self._track.footprints.vlm_mb:
            self._track.footprints.vlm_mb = back_mb

    def _learn_headroom(self, before_mb: int) -> None:
        """Learn from a model that ended split beside CLIP, and at other times need not have."""
        vram, needs_mb = self._vram.read(), self._track.footprints.vlm_mb
        if vram is not None and needs_mb is not None and self._clip.device != "cpu":
            self._track.footprints.vlm_was_split(vram.total_mb - before_mb - needs_mb)

    def learn_clip(self, before_mb: int | None, after_mb: int | None) -> None:
        """Learn CLIP's footprint from a migration to the GPU (MiB)."""
        if before_mb is None or after_mb is None:
            return
        if 0 < after_mb - before_mb <= self._config.clip_mb * 3:
            self._track.footprints.clip_mb = after_mb - before_mb

    def learn_clip_gone(self, before_mb: int | None, after_mb: int | None) -> None:
        """Lower a footprint of which CLIP's migration to the CPU gave back only a part (MiB).

        The rest was taken by another process amid the migration to the GPU.
        """
        learned_mb, assumed_mb = self._track.footprints.clip_mb, self._config.clip_mb
        if learned_mb is None or before_mb is None or after_mb is None:
            return
        back_mb = max(before_mb - after_mb, assumed_mb)
        if back_mb < learned_mb - release_tolerance_mb(learned_mb):
            self._track.footprints.clip_mb = back_mb
