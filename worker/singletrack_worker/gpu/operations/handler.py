"""What all handlers have in common: what they are given, and what they are asked."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from singletrack_tasks.request import Request
from singletrack_tasks.result import OperationResult
from singletrack_worker.gpu.clip_start import ClipStart
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.transitions import Transitions
from singletrack_worker.gpu.ports import Clock, Stores, Tenants
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


class Handler(ABC, Generic[Q, R]):
    """Does what one kind of request asks for, while it has its turn at the GPU.

    The end of an operation that is `recorded`, and its failure, is in the status before its caller hears of it.
    """

    recorded: ClassVar[bool] = False

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    @abstractmethod
    def run(self, request: Q, turn: Turn) -> R:
        """Do it; errors of the tree in `singletrack_tasks.errors` are answers to the caller."""
