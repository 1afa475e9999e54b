"""Points and boxes, in physical pixels of a screenshot whose left upper pixel is (0, 0)."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Point:
    """A pixel."""

    x: int
    y: int

    def moved(self, dx: int, dy: int) -> Self:
        """Return the point that lies `dx` to the right and `dy` below."""
        return type(self)(self.x + dx, self.y + dy)


ORIGIN = Point(0, 0)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `right` and `bottom` are the first column and row outside it."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column outside."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row outside."""
        return self.top + self.height

    @property
    def center(self) -> Point:
        """The pixel in the middle."""
        return Point(self.left + self.width // 2, self.top + self.height // 2)

    @property
    def area(self) -> int:
        """Width times height."""
        return self.width * self.height

    def contains(self, point: Point) -> bool:
        """Return whether a pixel is inside."""
        return self.left <= point.x < self.right and self.top <= point.y < self.bottom

    def moved(self, dx: int, dy: int) -> Self:
        """Return the box that lies `dx` to the right and `dy` below."""
        return type(self)(self.left + dx, self.top + dy, self.width, self.height)

    def shared_area(self, other: "Box") -> int:
        """Return how many pixels two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)

    def overlap(self, other: "Box") -> float:
        """Return the shared area as a share of both together, 0 to 1."""
        shared = self.shared_area(other)
        together = self.area + other.area - shared
        return shared / together if together else 0.0
