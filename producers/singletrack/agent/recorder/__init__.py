"""Anchors from what a person clicked, tried out at once."""

from singletrack.agent.recorder.recorded import Recorded
from singletrack.agent.recorder.recorder import Recorder

__all__ = ["Recorded", "Recorder"]
