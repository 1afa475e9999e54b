"""Statuses as a worker publishes them, for tracks without one."""

import json
import time
from typing import Any

from singletrack_tasks.status import (
    ClipStatus,
    ExecutionMode,
    GPUResourceStatus,
    ModelState,
    OperationInFlight,
    VlmStatus,
    WorkerInfo,
)
from tests.unit.producers.conftest import LONELY_TRACK, Backstage


def status(**changed: Any) -> GPUResourceStatus:
    """A status of the lonely track, taken now; `changed` fields differ from one of an idle worker without a GPU."""
    fields: dict[str, Any] = {
        "track": LONELY_TRACK,
        "taken_unix_s": time.time(),
        "worker": WorkerInfo(host="here", pid=1, release="0", started_unix_s=0),
        "mode": ExecutionMode.IDLE,
        "gpu": None,
        "vram": None,
        "vlm": VlmStatus(model="some-vlm", state=ModelState.UNLOADED),
        "clip": ClipStatus(),
        "degraded": False,
    }
    return GPUResourceStatus(**(fields | changed))


def publish(backstage: Backstage, snapshot: GPUResourceStatus) -> None:
    """Write a status where a worker would."""
    backstage.redis.set(backstage.keys.status, snapshot.model_dump_json(), ex=60)


def operation(job_id: str, kind: str = "ask", *, age_s: float = 0.0, **changed: Any) -> OperationInFlight:
    """An operation that has been in flight for so long, all of it at its present stage."""
    since = time.time() - age_s
    return OperationInFlight(job_id=job_id, kind=kind, since_unix_s=since, stage_since_unix_s=since, **changed)


def push_raw(backstage: Backstage, message: dict[str, Any]) -> None:
    """Put a message of somebody else's making on the queue."""
    backstage.redis.lpush(backstage.keys.queue, json.dumps(message))
