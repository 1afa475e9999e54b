"""Announced needs of the VLM: wishes, which the worker may refuse."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from singletrack_tasks.requests.request import Request
from singletrack_tasks.result import OperationResult

# How long ahead a need of the VLM can be announced, and for how long (seconds).
MAX_INTENT_S = 600.0

Holder = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class IntentResult(OperationResult):
    """What became of an announcement, or of its withdrawal.

    `noted` is False if it was not taken up: its time had passed, or too many wait. `waiting` are the track's
    announcements now; `loaded` says whether the VLM is loaded.
    """

    noted: bool
    waiting: int = Field(ge=0)
    loaded: bool

    @property
    def done(self) -> str:
        """How many announcements wait, and whether the VLM is loaded."""
        noted = "" if self.noted else "not noted, "
        return f"{noted}{self.waiting} waiting, VLM {'loaded' if self.loaded else 'not loaded'}"


class AnnounceVlm(Request[IntentResult], task="gpu.vlm.announce", kind="announce_vlm"):
    """Announce that the VLM will be needed in `in_s` seconds, for `for_s` seconds: a wish, which the worker may refuse.

    Each `holder` has one announcement; a new one takes its place.
    """

    holder: Holder
    in_s: float = Field(default=20.0, ge=0, le=MAX_INTENT_S, allow_inf_nan=False)
    for_s: float = Field(default=60.0, gt=0, le=MAX_INTENT_S, allow_inf_nan=False)

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """When it is needed."""
        in_s, for_s = data.get("in_s"), data.get("for_s")
        given = isinstance(in_s, int | float) and isinstance(for_s, int | float)
        return f"in {in_s:g} s, for {for_s:g} s" if given else ""


class WithdrawVlm(Request[IntentResult], task="gpu.vlm.withdraw", kind="withdraw_vlm"):
    """Withdraw a holder's announcement, if there is one."""

    holder: Holder

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Nothing that is worth a line."""
        return ""
