"""Which readings of VRAM are far enough from the last one reported to be reported, too (R2.2)."""


class ChangeDetector:
    """Finds changes of VRAM in use that are worth an event: 100 MB or more since the last one reported."""

    THRESHOLD_MB = 100

    def __init__(self) -> None:
        self._last_mb: int | None = None

    def changed_from(self, used_mb: int) -> int | None:
        """Return what was in use at the last change reported (MiB) if this reading is a change, else None."""
        last = self._last_mb
        if last is None or abs(used_mb - last) >= self.THRESHOLD_MB:
            self._last_mb = used_mb
            return last
        return None
