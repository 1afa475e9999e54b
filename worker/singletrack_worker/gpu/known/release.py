"""VRAM that a tenant has released and that the driver does not report as free yet."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Owed:
    """What the driver owes once a tenant has gone (MiB): `before_mb` were in use, None if that is unknown.

    Of these, the tenant certainly took `taken_mb` (0: nothing is known of it), and `whole_mb` as far as is known.
    """

    before_mb: int | None = None
    taken_mb: int = 0
    whole_mb: int = 0


class Release:
    """The pending releases: the memory of the unloaded VLM, and of a tenant whose release is late (MiB)."""

    def __init__(self) -> None:
        self._of_vlm = Owed()
        self._limit_mb: int | None = None

    @property
    def of_vlm(self) -> Owed:
        """What is owed for the pending unload; nothing if there is none."""
        return self._of_vlm

    @property
    def overdue(self) -> bool:
        """Whether a release is late."""
        return self._limit_mb is not None

    def vlm_goes(self, owed: Owed) -> None:
        """Start waiting for the VLM's memory."""
        self._of_vlm = owed

    def vlm_is_gone(self) -> None:
        """Stop all waiting: the VLM is gone, and its memory is free."""
        self._of_vlm, self._limit_mb = Owed(), None

    def is_late(self, limit_mb: int) -> None:
        """Count memory as not released until VRAM in use has dropped to `limit_mb`."""
        self._limit_mb = limit_mb

    def is_back(self, used_mb: int | None) -> bool:
        """Whether VRAM in use has dropped to the limit, if there is one; no reading (None) is no sign of it."""
        return self._limit_mb is None or (used_mb is not None and used_mb <= self._limit_mb)

    def settle(self) -> None:
        """Stop counting anything as late."""
        self._limit_mb = None

    def shift(self, before_mb: int | None, after_mb: int | None, *, at_least_mb: int | None = None) -> None:
        """Adjust for memory that something else took or released meanwhile.

        What a tenant of ours is known to have taken, `at_least_mb`, counts whole although others released some.
        """
        if before_mb is None or after_mb is None:
            return
        by_mb = after_mb - before_mb if at_least_mb is None else max(after_mb - before_mb, at_least_mb)
        if self._of_vlm.before_mb is not None:
            self._of_vlm = replace(self._of_vlm, before_mb=self._of_vlm.before_mb + by_mb)
        if self._limit_mb is not None:
            self._limit_mb += by_mb
