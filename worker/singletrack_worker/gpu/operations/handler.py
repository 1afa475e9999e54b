"""The base of all handlers, and the dependencies that they share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from singletrack_tasks.requests.request import Request
from singletrack_tasks.result import OperationResult
from singletrack_worker.gpu.clip_start import ClipStart
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.judge import Judge
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.transitions import Transitions
from singletrack_worker.gpu.stores import Stores
from singletrack_worker.gpu.tenants import Tenants
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.settings import GPUResourceConfig

Q = TypeVar("Q", bound=Request[Any])
R = TypeVar("R", bound=OperationResult)


@dataclass(frozen=True)
class Workbench:
    """Everything that an operation may need."""

    config: GPUResourceConfig
    tenants: Tenants
    track: Track
    clock: Clock
    stores: Stores
    transitions: Transitions
    clip_start: ClipStart
    judge: Judge


class Handler(ABC, Generic[Q, R]):
    """Runs one kind of request while it has its turn at the GPU.

    The end of a `recorded` operation, or its failure, is in the status before its caller gets the result.
    """

    recorded: ClassVar[bool] = False

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def hear(self, request: Q) -> R | None:
        """Hear of a request before its turn; returns its result if there is nothing left to do, and no turn needed."""
        return None

    @abstractmethod
    def run(self, request: Q, turn: Turn) -> R:
        """Run the request; errors from `singletrack_tasks.errors` are answers to the caller."""
