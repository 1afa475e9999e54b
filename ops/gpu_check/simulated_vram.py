"""The worker's view of a simulated card."""

from singletrack_ops.stand_in.card import SimulatedCard
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import GpuInfo, VRAMInfo


class CardVram:
    """Implements `tenants.Vram`; what it reads is off by `lie_mb` (MiB)."""

    def __init__(self, card: SimulatedCard, lie_mb: int = 0) -> None:
        self._card = card
        self._lie_mb = lie_mb

    @property
    def gpu(self) -> GpuInfo | None:
        """The GPU, under a name that says that it is simulated; to the product it is as any other."""
        return GpuInfo(name=f"simulated {self._card.total_mb / 1024:.0f} GiB GPU", uuid="SIMULATED-0")

    @property
    def reason(self) -> str:
        """Empty, since there is a GPU."""
        return ""

    def read(self) -> VRAMInfo | None:
        """Read the memory (MiB)."""
        total_mb = self._card.total_mb
        used_mb = min(total_mb, self._card.used_mb + self._lie_mb)
        return VRAMInfo(total_mb=total_mb, used_mb=used_mb, free_mb=total_mb - used_mb)

    def processes(self) -> tuple[GpuProcess, ...]:
        """List the processes that hold memory."""
        held = (holding for holding in self._card.holdings() if holding.held_mb)
        return tuple(GpuProcess(pid=it.pid, name=it.name, vram_mb=it.held_mb) for it in held)

    def close(self) -> None:
        """Nothing is held."""
