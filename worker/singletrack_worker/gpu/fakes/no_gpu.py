"""A machine without a GPU."""

from singletrack_tasks.status import GpuInfo, VRAMInfo


class NoGpu:
    """A `Vram` of a machine without a GPU."""

    gpu: GpuInfo | None = None
    reason = "no NVIDIA driver: everything runs on the CPU"

    def read(self) -> VRAMInfo | None:
        """Nothing to read."""
        return None

    def close(self) -> None:
        """Nothing is held."""
