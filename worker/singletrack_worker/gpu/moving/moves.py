"""The four steps that move a tenant, each verified against the driver and recorded as a receipt."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from singletrack_tasks.errors import SingletrackError, VlmLoadFailed, VramNotReleased
from singletrack_tasks.result import StepName, StepReceipt
from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.receipts import Move
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.retries import retrying
from singletrack_worker.gpu.tenants import Tenants, VlmListing
from singletrack_worker.settings import GPUResourceConfig

_log = logging.getLogger(__name__)

# The driver frees memory in pieces: a tenant counts as unloaded when this part of what it took is free.
RELEASED_PART = 0.8
_POLL_S = 0.05


@dataclass
class _Tally:
    """The progress of a step: the attempts so far, and the limit that VRAM in use did not drop to in time (MiB).

    `unread` is set if no reading told whether it did.
    """

    attempts: int = 1
    limit_mb: int | None = None
    unread: bool = False


class Mover:
    """Executes steps; nothing else loads, unloads, promotes or demotes."""

    def __init__(self, config: GPUResourceConfig, tenants: Tenants, track: Track, clock: Clock) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._track = track
        self._clock = clock
        # VRAM that our last load took by the driver's figures (MiB): the server's figure may cover several GPUs.
        self._took_mb: int | None = None

    def make(self, step: StepName, demand: Demand, cancellation: Cancellation) -> Move:
        """Execute one step; a step that fails returns its error with the receipt instead of raising it."""
        tally = _Tally()
        actions: dict[StepName, Callable[[], None]] = {
            "unload_vlm": lambda: self._unload_vlm(tally),
            "load_vlm": lambda: self._load_vlm(demand, cancellation, tally),
            "demote_clip": lambda: self._demote_clip(tally),
            "promote_clip": self._clip.promote,
        }
        before_mb, started = self._used_mb(), self._clock.monotonic()
        error: SingletrackError | None = None
        try:
            actions[step]()
        except SingletrackError as failure:
            _log.warning("%s failed: %s", step, failure)
            error = failure
        after_mb = self._used_mb()
        if step != "unload_vlm":
            self._track.release.shift(before_mb, after_mb)
        if tally.limit_mb is not None:
            self._track.release.is_late(tally.limit_mb)
        receipt = StepReceipt(
            step=step,
            ok=error is None,
            verified=error is None and not tally.unread and None not in (before_mb, after_mb),
            vram_before_mb=before_mb,
            vram_after_mb=after_mb,
            duration_s=max(0.0, self._clock.monotonic() - started),
            attempts=tally.attempts,
            detail=str(error or ""),
        )
        return Move(receipt, error)

    def _load_vlm(self, demand: Demand, cancellation: Cancellation, tally: _Tally) -> None:
        life = self._track.life
        life.to(ModelState.LOADING)
        before_mb = self._used_mb()
        attempts = self._config.retry_attempts if demand.retried else 1
        tries = retrying(self._clock, attempts=attempts, pause_s=self._config.retry_pause_s, cancellation=cancellation)
        try:
            tries(self._load_once)
        except BaseException:
            life.to(ModelState.FAILED)
            raise
        finally:
            tally.attempts = int(tries.statistics.get("attempt_number", 1))
        life.to(ModelState.LOADED)
        after_mb = self._used_mb()
        self._took_mb = None if before_mb is None or after_mb is None else max(0, after_mb - before_mb)

    def _load_once(self) -> None:
        self._vlm.load()
        if self._vlm.listing() is None:
            raise VlmLoadFailed(
                f"the server loaded {self._vlm.model} but no longer lists it: it did not fit, or was evicted"
            )

    def _unload_vlm(self, tally: _Tally) -> None:
        release = self._track.release
        listing = self._vlm.listing()
        before_mb = self._used_mb()
        self._track.life.to(ModelState.UNLOADING)
        self._vlm.unload()
        if listing is not None and before_mb is not None:
            release.vlm_goes(before_mb, self._releasable_mb(listing))
        self._wait_until_released(self._vlm.model, *release.of_vlm, tally)
        release.vlm_is_gone()
        self._took_mb = None
        self._track.life.to(ModelState.UNLOADED)

    def _releasable_mb(self, listing: VlmListing) -> int:
        """The VRAM that the driver should report as freed: never more than it saw the model take.

        A load during which others freed memory seems to take little or nothing, so the footprint counts as well.
        """
        seen_mb = max(self._took_mb or 0, self._track.footprints.vlm_mb or 0)
        return min(listing.vram_mb, seen_mb) if seen_mb else listing.vram_mb

    def _demote_clip(self, tally: _Tally) -> None:
        before_mb = self._used_mb()
        self._clip.demote()
        self._wait_until_released("CLIP", before_mb, self._track.footprints.clip_mb or 0, tally)

    def _wait_until_released(self, tenant: str, before_mb: int | None, taken_mb: int, tally: _Tally) -> None:
        """Poll the driver until two readings in a row show the memory as free (R1.4, R5.2).

        `taken_mb` is the VRAM that the tenant is known to have taken; if that is 0, there is nothing to wait for. While
        the driver tells nothing, nobody knows: that is no failure, and the step is not verified.
        """
        if before_mb is None or taken_mb <= 0:
            return
        limit_mb = before_mb - int(taken_mb * RELEASED_PART)
        deadline = self._clock.monotonic() + self._config.vram_release_timeout_s
        in_a_row = 0
        while in_a_row < 2:
            used_mb = self._used_mb()
            in_a_row = in_a_row + 1 if used_mb is not None and used_mb <= limit_mb else 0
            if in_a_row == 0 and self._clock.monotonic() >= deadline:
                if used_mb is None:
                    tally.unread = True
                    return
                tally.limit_mb = limit_mb
                raise VramNotReleased(
                    f"{tenant} is gone, but {used_mb} MB of VRAM are in use where at most {limit_mb} MB were expected "
                    f"({before_mb} MB before, {taken_mb} MB of them its own). Run `nvidia-smi` to see what holds it.",
                    {"used_mb": used_mb, "expected_mb": limit_mb, "before_mb": before_mb, "taken_mb": taken_mb},
                )
            if in_a_row < 2:
                self._clock.sleep(_POLL_S)

    def _used_mb(self) -> int | None:
        vram = self._vram.read()
        return None if vram is None else vram.used_mb
