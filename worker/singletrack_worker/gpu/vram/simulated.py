"""A GPU that is not there: its memory is only accounted for, so that any machine can show how modes move it.

It is chosen by name (`SINGLETRACK_GPU=simulated`), never by default, and marked as simulated wherever it is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_tasks.status import GpuInfo, VRAMInfo
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.tenants import OtherModel, Vlm, VlmAnswer, VlmListing, ignore_text


@dataclass(frozen=True)
class _Tenant:
    takes_mb: Callable[[], int]
    pid: Callable[[], int | None]


class SimulatedGpu:
    """Adds up the memory that its tenants say they take, in MiB, and `base_mb` for the desktop."""

    def __init__(self, total_mb: int, base_mb: int = 300) -> None:
        self._total_mb = total_mb
        self._base_mb = base_mb
        self._tenants: dict[str, _Tenant] = {}

    @property
    def gpu(self) -> GpuInfo | None:
        """The GPU, under a name that says that it is simulated."""
        name = f"simulated {self._total_mb / 1024:.0f} GiB GPU"
        return GpuInfo(name=name, uuid="SIMULATED-0", simulated=True)

    @property
    def reason(self) -> str:
        """Empty, since there is a GPU."""
        return ""

    def add_tenant(self, name: str, takes_mb: Callable[[], int], pid: Callable[[], int | None] = lambda: None) -> None:
        """Count what `takes_mb` returns at each reading; a tenant that has a `pid` is listed as a process."""
        self._tenants[name] = _Tenant(takes_mb, pid)

    def read(self) -> VRAMInfo | None:
        """Add the memory up (MiB)."""
        used = min(self._total_mb, self._base_mb + sum(tenant.takes_mb() for tenant in self._tenants.values()))
        return VRAMInfo(total_mb=self._total_mb, used_mb=used, free_mb=self._total_mb - used)

    def processes(self) -> tuple[GpuProcess, ...]:
        """List the tenants that are on the GPU and have a pid, by pid."""
        found = ((name, tenant.pid(), tenant.takes_mb()) for name, tenant in self._tenants.items())
        listed = (GpuProcess(pid=pid, name=name, vram_mb=mb) for name, pid, mb in found if pid is not None and mb > 0)
        return tuple(sorted(listed, key=lambda process: process.pid))

    def close(self) -> None:
        """Nothing is held."""


class SimulatedVlm:
    """A VLM on a real server whose memory counts on the simulated GPU, wherever the server puts it.

    Like Ollama, it puts on the CPU what does not fit when the model is loaded.
    """

    def __init__(self, server: Vlm, gpu: SimulatedGpu, size_mb: int) -> None:
        self._server = server
        self._gpu = gpu
        self._size_mb = size_mb
        self._vram_mb: int | None = None
        self._listed = False
        self._others: tuple[OtherModel, ...] = ()
        gpu.add_tenant("vlm", self._takes_mb)
        gpu.add_tenant("other models", lambda: sum(other.vram_mb for other in self._others))

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._server.model

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """The other models at the server, all of them on the simulated GPU."""
        return self._others

    def goes_by(self, name: str) -> bool:
        """Ask the server."""
        return self._server.goes_by(name)

    def sees_images(self) -> bool | None:
        """Ask the server."""
        return self._server.sees_images()

    def listing(self) -> VlmListing | None:
        """Return the size that was configured, and the part of it that found room."""
        try:
            self._listed = self._server.listing() is not None
            self._others = tuple(OtherModel(it.name, it.size_mb, vram_mb=it.size_mb) for it in self._server.others)
        except SingletrackError:
            # Nobody can see what a server that does not answer holds.
            self._listed, self._others = False, ()
            raise
        if not self._listed:
            return None
        return VlmListing(self._size_mb, self._size_mb if self._vram_mb is None else self._vram_mb)

    def load(self) -> None:
        """Load the model and take its memory."""
        vram = self._gpu.read()
        room_mb = vram.free_mb if vram is not None else 0
        if self._server.listing() is None:
            self._vram_mb = min(self._size_mb, room_mb)
        self._server.load()
        self._listed = True

    def unload(self) -> None:
        """Unload the model and give its memory back."""
        self._server.unload()
        self._listed, self._vram_mb = False, None

    def unload_other(self, name: str) -> None:
        """Unload another model and give its memory back."""
        self._server.unload_other(name)
        self._others = tuple(other for other in self._others if other.name != name)

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None] = ignore_text,
    ) -> VlmAnswer:
        """Ask the server."""
        return self._server.ask(prompt, images, json_schema, options, cancellation, on_text)

    def close(self) -> None:
        """End connections."""
        self._server.close()

    def _takes_mb(self) -> int:
        """Return its memory as of the last look at the server: a reading of the GPU never waits for it."""
        if not self._listed:
            return 0
        return self._size_mb if self._vram_mb is None else self._vram_mb
