"""VRAM that a tenant has released and that the driver does not report as free yet."""


class Release:
    """The pending releases: the memory of the unloaded VLM, and of a tenant whose release is late (MiB)."""

    def __init__(self) -> None:
        self._before_mb: int | None = None
        self._taken_mb = 0
        self._limit_mb: int | None = None

    @property
    def of_vlm(self) -> tuple[int | None, int]:
        """VRAM in use before the pending unload (None if there is none), and the model's part of it."""
        return self._before_mb, self._taken_mb

    @property
    def overdue(self) -> bool:
        """Whether a release is late."""
        return self._limit_mb is not None

    def vlm_goes(self, before_mb: int, taken_mb: int) -> None:
        """Start waiting for the VLM's memory."""
        self._before_mb, self._taken_mb = before_mb, taken_mb

    def vlm_is_gone(self) -> None:
        """Stop all waiting: the VLM is gone, and its memory is free."""
        self._before_mb, self._taken_mb, self._limit_mb = None, 0, None

    def is_late(self, limit_mb: int) -> None:
        """Count memory as not released until VRAM in use has dropped to `limit_mb`."""
        self._limit_mb = limit_mb

    def is_back(self, used_mb: int | None) -> bool:
        """Whether VRAM in use has dropped to the limit, if there is one; no reading (None) is no sign of it."""
        return self._limit_mb is None or (used_mb is not None and used_mb <= self._limit_mb)

    def settle(self) -> None:
        """Stop counting anything as late."""
        self._limit_mb = None

    def shift(self, before_mb: int | None, after_mb: int | None) -> None:
        """Adjust for memory that something else took or released meanwhile."""
        if before_mb is None or after_mb is None:
            return
        if self._before_mb is not None:
            self._before_mb += after_mb - before_mb
        if self._limit_mb is not None:
            self._limit_mb += after_mb - before_mb
