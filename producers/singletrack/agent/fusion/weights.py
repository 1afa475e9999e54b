"""How much each part of a screen counts in its state vector."""

import math
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final, Self

from singletrack.agent.errors import InvalidState

# Belongs to how parts are made into vectors: whoever changes that counts it up.
RECIPE_VERSION: Final = 1


class StatePart(StrEnum):
    """A part of a screen that CLIP embeds."""

    IMAGE = "image"
    TEXT = "text"
    TITLE = "title"
    ELEMENTS = "elements"


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """The weight of each part: 0 or more, 1 in all; a part of weight 0 is not embedded.

    Raises `InvalidState` if they do not add up to 1.
    """

    image: float = 0.5
    text: float = 0.3
    title: float = 0.1
    elements: float = 0.1

    def __post_init__(self) -> None:
        values = [getattr(self, part) for part in StatePart]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if not numbers or not all(math.isfinite(value) and value >= 0 for value in values):
            raise InvalidState(f"Weights are numbers of 0 or more, not {self}.")
        if not math.isclose(sum(values), 1.0, abs_tol=1e-6):
            raise InvalidState(f"The weights add up to {sum(values):g}. Choose weights that add up to 1.")

    def of(self, part: StatePart) -> float:
        """Return the weight of a part."""
        return float(getattr(self, part))

    def without(self, missing: tuple[StatePart, ...]) -> Self:
        """Return the weights of the other parts, scaled up to 1 in all; raises `InvalidState` if none is left."""
        if not missing:
            return self
        left = {part: 0.0 if part in missing else self.of(part) for part in StatePart}
        total = sum(left.values())
        if total == 0:
            raise InvalidState("The screen has none of the parts that have a weight. Give more parts a weight.")
        return replace(self, **{part.value: weight / total for part, weight in left.items()})

    @property
    def recipe(self) -> str:
        """The version of how a state is made, and the weights; only states of one recipe may be compared."""
        return " ".join(
            [f"fusion-{RECIPE_VERSION}", *(f"{one.name}={getattr(self, one.name):g}" for one in fields(self))]
        )
