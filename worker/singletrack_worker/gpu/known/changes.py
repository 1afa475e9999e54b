"""Finds the VRAM readings that differ enough from the last reported one to be reported (R2.2)."""


class ChangeDetector:
    """Finds changes of VRAM in use that deserve an event: 100 MB or more since the last reported one."""

    THRESHOLD_MB = 100

    def __init__(self) -> None:
        self._last_mb: int | None = None

    def changed_from(self, used_mb: int) -> int | None:
        """Return the last reported reading (MiB) if this one is a change from it, else None."""
        last = self._last_mb
        if last is None or abs(used_mb - last) >= self.THRESHOLD_MB:
            self._last_mb = used_mb
            return last
        return None
