"""The state of a screen as one vector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.errors import InvalidState
from singletrack.agent.fusion.weights import FusionWeights, StatePart

Vector = NDArray[np.float32]
# How far from 1 the length of a vector may be.
UNIT_WITHIN = 1e-3


@dataclass(frozen=True, slots=True)
class StateOrigin:
    """The CLIP that a state comes from, and how it was made of it: only states of one origin may be compared."""

    fingerprint: str
    recipe: str

    def check_same(self, other: "StateOrigin") -> None:
        """Raise `InvalidState` if the other is not the same."""
        if self.fingerprint != other.fingerprint:
            raise InvalidState(
                f"This state comes from the CLIP {self.fingerprint}, the other from {other.fingerprint}: "
                "they cannot be compared. Make both with one CLIP."
            )
        if self.recipe != other.recipe:
            raise InvalidState(
                f"This state was made as '{self.recipe}', the other as '{other.recipe}': they cannot be compared. "
                "Make both with the same weights."
            )


@dataclass(frozen=True, eq=False)
class StateVector:
    """A screen's state: float32, of unit length, as many dimensions as its CLIP has.

    `missing` parts were not on the screen; `used` are the weights of the others, 1 in all. `is_cut` says that the
    screen bore more text than a state takes up. Raises `InvalidState` if the vector is not of unit length.
    """

    vector: Vector
    origin: StateOrigin
    used: FusionWeights
    missing: tuple[StatePart, ...] = ()
    is_cut: bool = False

    def __post_init__(self) -> None:
        vector = np.array(self.vector, dtype=np.float32)
        if vector.ndim != 1 or not abs(float(np.linalg.norm(vector)) - 1) < UNIT_WITHIN:
            raise InvalidState("A state is one vector of unit length. Make it with FusionEngine.state_of.")
        vector.setflags(write=False)
        object.__setattr__(self, "vector", vector)

    def similarity(self, other: "StateVector") -> float:
        """Return the cosine of two states, -1 to 1; raises `InvalidState` if they may not be compared."""
        self.origin.check_same(other.origin)
        return float(np.clip(self.vector @ other.vector, -1, 1))
