"""How transient errors are retried (R6.2, R6.3)."""

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from singletrack_tasks.errors import TransientError
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock

MAX_PAUSE_S = 30.0


def retrying(clock: Clock, *, attempts: int, pause_s: float, cancellation: Cancellation) -> Retrying:
    """Try up to `attempts` times while the error is transient and the operation is not cancelled.

    The pause starts at `pause_s` and doubles, up to `MAX_PAUSE_S`; the last error is raised unchanged.
    """
    return Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential(multiplier=pause_s, exp_base=2, max=MAX_PAUSE_S),
        retry=retry_if_exception(lambda error: isinstance(error, TransientError) and not cancellation.cancelled),
        sleep=clock.sleep,
        reraise=True,
    )
