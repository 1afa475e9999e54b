"""VRAM that a tenant has given up and that the driver does not report as free yet."""


class Release:
    """What is waited for: the memory of the VLM that was sent away, and of whichever tenant is late (MiB)."""

    def __init__(self) -> None:
        self._before_mb: int | None = None
        self._taken_mb = 0
        self._limit_mb: int | None = None

    @property
    def of_vlm(self) -> tuple[int | None, int]:
        """VRAM in use before the unload that is waited for (None: for none), and what the model took of it."""
        return self._before_mb, self._taken_mb

    @property
    def overdue(self) -> bool:
        """Whether memory is late."""
        return self._limit_mb is not None

    def vlm_goes(self, before_mb: int, taken_mb: int) -> None:
        """Begin to wait for the VLM's memory."""
        self._before_mb, self._taken_mb = before_mb, taken_mb

    def vlm_is_gone(self) -> None:
        """End all waiting: the VLM is gone, and its memory free."""
        self._before_mb, self._taken_mb, self._limit_mb = None, 0, None

    def is_late(self, limit_mb: int) -> None:
        """Count memory as not released until VRAM in use has come down to this."""
        self._limit_mb = limit_mb

    def is_back(self, used_mb: int | None) -> bool:
        """Whether VRAM in use is down to where it was to come; None (no driver) tells nothing against it."""
        return self._limit_mb is None or used_mb is None or used_mb <= self._limit_mb

    def settle(self) -> None:
        """Call nothing late any more."""
        self._limit_mb = None

    def shift(self, before_mb: int | None, after_mb: int | None) -> None:
        """Take in that somebody else took memory, or gave some back, meanwhile."""
        if before_mb is None or after_mb is None:
            return
        if self._before_mb is not None:
            self._before_mb += after_mb - before_mb
        if self._limit_mb is not None:
            self._limit_mb += after_mb - before_mb
