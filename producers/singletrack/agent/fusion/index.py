"""Known states, and the search for those most like a given one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from singletrack.agent.errors import InvalidState
from singletrack.agent.fusion.state_vector import Vector

MAX_STATES = 1_000_000
MAX_NAME_CHARS = 200
_FIRST_ROWS = 64


class StateIndex(Protocol):
    """Vectors under names, all of one CLIP and one recipe: `FusionEngine` sees to that."""

    def __len__(self) -> int:
        """How many there are."""

    def put(self, name: str, vector: Vector) -> None:
        """Keep a vector of unit length; one that has the name already is replaced."""

    def drop(self, name: str) -> None:
        """Forget a vector; `KeyError` if there is none of that name."""

    def nearest(self, vector: Vector, k: int) -> list[tuple[str, float]]:
        """Return up to `k` names with their cosines, the most similar first."""

    def entries(self) -> tuple[Sequence[str], Vector]:
        """Return all names and their vectors (n x d, float32), in the order in which they came."""


class ExactIndex:
    """Compares with every vector: exact, 10 to 25 ms for 100,000 of 512 dimensions, which take 200 MB.

    Not safe to use from several threads at once. Raises `InvalidState` for a name that is empty or longer than 200
    characters, for vectors of different dimensions, and for more than `capacity` vectors.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= MAX_STATES:
            raise InvalidState(f"An index holds 1 to {MAX_STATES} states, not {capacity!r}.")
        self._capacity = capacity
        self._rows: dict[str, int] = {}
        self._names: list[str] = []
        self._matrix: Vector = np.empty((0, 0), np.float32)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def put(self, name: str, vector: Vector) -> None:
        """Keep a vector; one that has the name already is replaced."""
        if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_NAME_CHARS:
            raise InvalidState(f"A state's name has 1 to {MAX_NAME_CHARS} characters, not {len(str(name))}.")
        row = self._rows.get(name, len(self))
        if row == self._capacity:
            raise InvalidState(f"The index is full: it holds {self._capacity} states. Drop some, or make a larger one.")
        self._make_room(row, vector)
        self._matrix[row] = vector
        if row == len(self):
            self._rows[name] = row
            self._names.append(name)

    def drop(self, name: str) -> None:
        """Forget a vector; `KeyError` if there is none of that name."""
        row = self._rows.pop(name)
        del self._names[row]
        self._matrix[row : len(self)] = self._matrix[row + 1 : len(self) + 1]
        self._rows = {one: number for number, one in enumerate(self._names)}

    def nearest(self, vector: Vector, k: int) -> list[tuple[str, float]]:
        """Return up to `k` names with their cosines, the most similar first; of equal ones, the older first."""
        if not len(self):
            return []
        self._check_dimension(vector)
        cosines = self._matrix[: len(self)] @ vector
        # Every vector that is as similar as the k-th: which of them are taken must not be chance.
        kth = np.partition(cosines, -k)[-k] if k < len(self) else -np.inf
        rows = np.flatnonzero(cosines >= kth)
        best = rows[np.argsort(-cosines[rows], kind="stable")][:k]
        return [(self._names[row], float(np.clip(cosines[row], -1, 1))) for row in best]

    def entries(self) -> tuple[Sequence[str], Vector]:
        """Return all names and their vectors (n x d, float32), in the order in which they came."""
        return tuple(self._names), self._matrix[: len(self)].copy()

    def _make_room(self, row: int, vector: Vector) -> None:
        if not len(self):
            self._matrix = np.empty((min(_FIRST_ROWS, self._capacity), len(vector)), np.float32)
        self._check_dimension(vector)
        if row < len(self._matrix):
            return
        grown = np.empty((min(2 * len(self._matrix), self._capacity), len(vector)), np.float32)
        grown[: len(self)] = self._matrix[: len(self)]
        self._matrix = grown

    def _check_dimension(self, vector: Vector) -> None:
        if vector.shape != self._matrix.shape[1:]:
            raise InvalidState(f"The index holds vectors of {self._matrix.shape[1]} dimensions, not {vector.shape}.")
