"""How far a job is, and why it waits."""

from dataclasses import dataclass, replace

from singletrack.reading.snapshots import Look
from singletrack_tasks.queue_survey import Forecast, Survey, forecast
from singletrack_tasks.status import GPUResourceStatus, OperationInFlight


@dataclass(frozen=True)
class Progress:
    """Where a job is on its way to the GPU.

    `place` is 0 for the job that has the GPU and 1 for the next one; None for a job that has ended, is moving from
    the queue to the GPU at the moment, or is not among the first 1000. `before` names the operations that run before
    it, in order, including the one in flight. `loads_vlm` is True if the VLM has to be loaded for this job or for one
    before it. `wait_s` is the estimate until it begins, None if unknown. Once it has the GPU, `operation` is what it is
    doing, and `stage_s` how long it has been at that stage. `endless_starts` is how many of its starts had no end, if
    it was moved behind others for that, else 0.
    """

    place: int | None
    before: tuple[str, ...] = ()
    loads_vlm: bool = False
    wait_s: float | None = None
    operation: OperationInFlight | None = None
    stage_s: float = 0.0
    endless_starts: int = 0

    @classmethod
    def of(cls, job_id: str, look: Look | None) -> "Progress":
        """Read it from a look that searched the queue for the job."""
        if look is None:
            return cls(None)
        snapshot = look.snapshot
        status = snapshot.parse()
        operation = status.operation if snapshot.fresh else None
        if operation is not None and operation.job_id == job_id:
            stage_s = operation.stage_s(snapshot.now_unix_s)
            loads_vlm = operation.stage == "load_vlm"
            return cls(0, loads_vlm=loads_vlm, wait_s=0.0, operation=operation, stage_s=stage_s)
        waiting = cls._waiting(look.survey, status, operation, snapshot.now_unix_s)
        return replace(waiting, endless_starts=look.suspects.get(job_id, 0))

    @classmethod
    def _waiting(
        cls, survey: Survey, status: GPUResourceStatus, operation: OperationInFlight | None, now_unix_s: float
    ) -> "Progress":
        if survey.place is None:
            return cls(None)
        ahead, through = survey.waiting[: survey.place - 1], survey.waiting[: survey.place]
        in_flight = () if operation is None else (operation.kind,)
        until_begun: Forecast = forecast(ahead, status, now_unix_s)
        return cls(
            survey.place,
            before=(*in_flight, *(job.kind for job in ahead)),
            loads_vlm=forecast(through, status, now_unix_s).loads_vlm,
            wait_s=until_begun.wait_s,
        )
