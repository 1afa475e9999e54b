"""A turn at the GPU, and nothing else."""

from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_worker.gpu.operations.handler import Handler
from singletrack_worker.gpu.turn import Turn


class PingHandler(Handler[Ping, PingResult]):
    """Takes a turn and does nothing."""

    def run(self, request: Ping, turn: Turn) -> PingResult:
        """Name the track."""
        return PingResult(track=self.bench.config.track, **turn.outcome())
