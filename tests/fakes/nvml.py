"""A driver that is not there: `pynvml` with cards on demand, and the real module's error classes."""

import functools
import importlib.machinery
import importlib.util
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

STAND_INS = Path(__file__).parents[1] / "stand_ins" / "driver"
MIB = 1024 * 1024


@functools.cache
def real_pynvml() -> Any:
    """The real `pynvml`, also in a process that finds the stand-in first."""
    path = [folder for folder in sys.path if Path(folder).resolve() != STAND_INS]
    found = importlib.machinery.PathFinder.find_spec("pynvml", path)
    assert found is not None
    assert found.origin is not None
    spec = importlib.util.spec_from_file_location("real_pynvml", found.origin)
    assert spec is not None
    assert spec.loader is not None
    # It looks itself up while it is imported.
    module = sys.modules["real_pynvml"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class FakeCard:
    """A card or MIG instance: texts as latin-1, so that they can be what is no UTF-8; `memory` names an error."""

    name: str = "NVIDIA GeForce RTX 3060"
    uuid: str = "GPU-11111111-aaaa"
    total_mb: int = 8192
    free_mb: int = 7000
    memory: str = ""
    capability: tuple[int, int] = (8, 6)
    compute_mode: int = 0
    instances: list["FakeCard"] = field(default_factory=list)
    index: int = 0

    def __post_init__(self) -> None:
        # From JSON.
        self.capability = (self.capability[0], self.capability[1])
        self.instances = [FakeCard(**it) if isinstance(it, dict) else it for it in self.instances]


@dataclass(frozen=True)
class Handle:
    """A card as it was opened in one initialization; no later one knows it."""

    card: FakeCard
    opening: int


class FakeNvml(ModuleType):
    """`errors` names, by function, the error that it raises each time; `once`, that which it raises the next time.

    A `stuck` driver answers nothing but 'Unknown Error' until it is initialized again.
    """

    def __init__(self, *cards: FakeCard, driver: str = "580.65.06", cuda: int = 13000) -> None:
        super().__init__("pynvml")
        self._real = real_pynvml()
        for name in dir(self._real):
            if name.startswith(("NVMLError", "NVML_", "NVMLLibrary")):
                setattr(self, name, getattr(self._real, name))
        self.cards = list(cards) or [FakeCard()]
        for index, card in enumerate(self.cards):
            card.index = index
        self.driver, self.cuda = driver, cuda
        self.errors: dict[str, str] = {}
        self.once: dict[str, list[str]] = {}
        self.calls: Counter[str] = Counter()
        self.stuck = False
        self.open = self.opening = 0
        self.computing: dict[int, int | None] = {}
        self.drawing: dict[int, int | None] = {}
        self.names: dict[int, bytes] = {}

    def error(self, name: str) -> Exception:
        """An error of the real module by the end of its class's name, such as `GpuIsLost`."""
        if name == "LibraryMismatch":
            mismatch: Exception = self._real.NVMLLibraryMismatchError("an older driver")
            return mismatch
        wanted = getattr(self._real, f"NVMLError_{name}")
        codes = {code for key, code in vars(self._real).items() if key.startswith("NVML_ERROR_")}
        made = (self._real.NVMLError(code) for code in codes)
        found: Exception = next(error for error in made if type(error) is wanted)
        return found

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's own name
        self.calls["nvmlInit"] += 1
        self._raise_what_is_due("nvmlInit")
        self.stuck = False
        self.open += 1
        self.opening += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVML's own name
        if not self.open:
            raise self.error("Uninitialized")
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802 - NVML's own name
        self._asked("nvmlSystemGetDriverVersion")
        return self.driver

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802 - NVML's own name
        self._asked("nvmlSystemGetCudaDriverVersion_v2")
        return self.cuda

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's own name
        self._asked("nvmlDeviceGetCount")
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle:  # noqa: N802 - NVML's own name
        self._asked("nvmlDeviceGetHandleByIndex")
        return Handle(self.cards[index], self.opening)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Handle:  # noqa: N802 - NVML's own name
        self._asked("nvmlDeviceGetHandleByUUID")
        everything = [*self.cards, *(instance for card in self.cards for instance in card.instances)]
        for card in everything:
            if card.uuid == uuid:
                return Handle(card, self.opening)
        raise self.error("NotFound")

    def nvmlDeviceGetName(self, handle: Handle) -> str:  # noqa: N802 - NVML's own name
        return self._of(handle, "nvmlDeviceGetName").name.encode("latin-1").decode()

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:  # noqa: N802 - NVML's own name
        return self._of(handle, "nvmlDeviceGetUUID").uuid.encode("latin-1").decode()

    def nvmlDeviceGetMigMode(self, handle: Handle) -> list[int]:  # noqa: N802 - NVML's own name
        if not self._of(handle, "nvmlDeviceGetMigMode").instances:
            raise self.error("NotSupported")
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:  # noqa: N802 - NVML's own name
        return 1 + len(self._of(handle, "nvmlDeviceGetMaxMigDeviceCount").instances)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int) -> Handle:  # noqa: N802 - NVML's own name
        instances = self._of(handle, "nvmlDeviceGetMigDeviceHandleByIndex").instances
        if index >= len(instances):
            raise self.error("NotFound")
        return Handle(instances[index], self.opening)

    def nvmlDeviceGetComputeMode(self, handle: Handle) -> int:  # noqa: N802 - NVML's own name
        return self._of(handle, "nvmlDeviceGetComputeMode").compute_mode

    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> tuple[int, int]:  # noqa: N802 - NVML's own name
        return self._of(handle, "nvmlDeviceGetCudaComputeCapability").capability

    def nvmlDeviceGetMemoryInfo(self, handle: Handle) -> SimpleNamespace:  # noqa: N802 - NVML's own name
        card = self._of(handle, "nvmlDeviceGetMemoryInfo")
        if card.memory:
            raise self.error(card.memory)
        # What is used and what is free are less than the total: the driver keeps the rest for itself.
        total, free = card.total_mb * MIB, card.free_mb * MIB
        return SimpleNamespace(total=total, free=free, used=max(0, total - free - 300 * MIB))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Handle) -> list[SimpleNamespace]:  # noqa: N802
        self._of(handle, "nvmlDeviceGetComputeRunningProcesses")
        return _listed(self.computing)

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: Handle) -> list[SimpleNamespace]:  # noqa: N802
        self._of(handle, "nvmlDeviceGetGraphicsRunningProcesses")
        return _listed(self.drawing)

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802 - NVML's own name
        if pid not in self.names:
            raise self.error("NotFound")
        return self.names[pid].decode()

    def _of(self, handle: Handle, function: str) -> FakeCard:
        self._asked(function)
        if handle.opening != self.opening:
            raise self.error("InvalidArgument")
        return handle.card

    def _asked(self, function: str) -> None:
        self.calls[function] += 1
        if not self.open:
            raise self.error("Uninitialized")
        if self.stuck:
            raise self.error("Unknown")
        self._raise_what_is_due(function)

    def _raise_what_is_due(self, function: str) -> None:
        if self.once.get(function):
            raise self.error(self.once[function].pop(0))
        if function in self.errors:
            raise self.error(self.errors[function])


def _listed(used_mb: dict[int, int | None]) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=None if mb is None else mb * MIB) for pid, mb in used_mb.items()]
