"""A turn at the GPU, and nothing else."""

from singletrack_tasks.requests.request import Request
from singletrack_tasks.result import OperationResult


class PingResult(OperationResult):
    """The track that answered."""

    track: str

    @property
    def done(self) -> str:
        """Says that the track answered."""
        return "answered"


class Ping(Request[PingResult], task="gpu.ping", kind="ping"):
    """Take a turn and do nothing."""
