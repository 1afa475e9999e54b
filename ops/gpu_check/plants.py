"""Faults that can be planted into a simulation: each must make the check fail, or the check proves nothing."""

from enum import StrEnum

from singletrack_ops.stand_in.card import Misbehaviour


class Plant(StrEnum):
    """What is wrong with the simulated GPU or a tenant."""

    LEAK = "leak"
    """120 MB of each process that ended never come back."""
    LATE = "late"
    """A seventh of the memory of a process that ended comes back some seconds later."""
    SPARE = "spare"
    """A warm spare has memory on the GPU."""
    SKEW = "skew"
    """Embeddings on the GPU are off, those of the canaries excepted."""
    LIE = "lie"
    """The worker reads figures that are not the driver's."""
    LOST = "lost"
    """An input that kills the GPU's encoder kills the CPU's as well."""
    GONE = "gone"
    """After a fault no encoder starts on the GPU any more."""
    STAY = "stay"
    """CLIP's memory stays on the GPU for some seconds after its process has ended."""

    @property
    def misbehaviour(self) -> Misbehaviour:
        """What it does to the memory of processes that ended."""
        match self:
            case Plant.LEAK:
                return Misbehaviour(leak_mb=120)
            case Plant.LATE:
                return Misbehaviour(late_part=0.15, late_s=3.0)
            case Plant.STAY:
                return Misbehaviour(late_part=1.0, late_s=60.0)
            case _:
                return Misbehaviour()
