"""What is made anew in the child of a fork, which has its parent's sockets and locks, but none of its threads."""

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """A part that belongs to one process."""

    def renew(self) -> None:
        """Begin anew, without a word to the server: what was open is the parent's. Takes no lock and starts nothing."""


_parts: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_after_fork(part: Renewable) -> None:
    """Have a part renewed in every child, before anything else runs there."""
    _parts.add(part)


def _renew_all() -> None:
    for part in list(_parts):
        part.renew()


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
