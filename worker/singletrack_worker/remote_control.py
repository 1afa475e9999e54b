"""Celery's remote control, which the command line (`celery control`, `celery inspect`) and Flower's buttons use.

Every command that Celery has is in `COMMANDS`, with what becomes of it in a GPU worker and why.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from celery.worker import state as worker_state
from celery.worker.control import Panel, control_command

from singletrack_worker.sight import flower_stats

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_CELERYS_REVOKE: Any = Panel.data["revoke"]
_CELERYS_QUERY: Any = Panel.data["query_task"]

# Takes the worker's state, and the command's arguments by name.
Answer = Callable[..., Any]


@dataclass(frozen=True)
class Treatment:
    """What becomes of a remote control command, and why; `replacement` answers where `how` is 'replaced'."""

    how: Literal["kept", "refused", "replaced"]
    why: str
    replacement: Answer | None = None


def take_over() -> None:
    """Have this process's worker answer by the table; a command that is not in the table is refused."""
    for name, meta in Panel.meta.items():
        treatment = COMMANDS.get(name, _UNKNOWN)
        answer = _refusal(name, treatment.why) if treatment.how == "refused" else treatment.replacement
        for each in filter(None, (name, meta.alias)):
            if answer is not None:
                Panel.data[each] = answer


def _refusal(name: str, why: str) -> Answer:
    def refuse(state: Any, **arguments: Any) -> dict[str, str]:
        _log.warning("refused the remote control command %s", name)
        return {"error": f"a GPU worker refuses {name}: {why}"}

    return refuse


@control_command(args=[("job_id", str)], signature="<job_id>")
def gpu_cancel(state: Any, job_id: str) -> dict[str, str]:
    """Break off a job's operation, if it is in flight."""
    running = state.consumer.controller.gpu_worker
    done = running is not None and running.manager.cancel(job_id)
    return {"ok": f"job {job_id} {'was told to stop' if done else 'is not in flight'}"}


@control_command(args=[("request_id", str)], signature="<request_id>")
def gpu_record(state: Any, request_id: str) -> dict[str, str]:
    """Have the flight recorder's recording written to Redis for the client that asked."""
    running = state.consumer.controller.gpu_worker
    if running is None or not _REQUEST_ID.fullmatch(request_id):
        return {"error": f"no recording for the request {request_id!r:.80}"}
    running.recorder.ask(request_id)
    return {"ok": f"the recording {request_id} is on its way"}


def _revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **options: Any) -> Any:
    """Keep a job from starting; one that is running is left alone, whatever the options say."""
    return _CELERYS_REVOKE(state, task_id, **options)


def _active(state: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the summary of the job that runs, whatever the options say."""
    return [request.info(safe=True) for request in state.tset(worker_state.active_requests)]


def _query_task(state: Any, ids: Any, **options: Any) -> dict[str, Any]:
    """Return where these jobs are, without their arguments."""
    found = _CELERYS_QUERY(state, ids)
    hidden = {"args", "kwargs"}
    return {
        job: (where, {name: value for name, value in told.items() if name not in hidden})
        for job, (where, told) in found.items()
    }


def _kept(why: str) -> Treatment:
    return Treatment("kept", why)


def _refused(why: str) -> Treatment:
    return Treatment("refused", why)


_UNKNOWN = _refused("this release of Singletrack does not know it, and so not whether it is safe.")
_ONE_AT_A_TIME = "it runs one operation at a time, which nothing may change. For a second GPU, start a second worker."
_ONE_QUEUE = "it serves its track's one queue and no other. To stop it, use `celery control shutdown` or SIGTERM."
_NO_KILLING = (
    "a thread cannot be killed, and its job would stay in hand. To break a job off, use `Job.cancel()` or "
    "`celery control gpu_cancel <job id>`."
)
_ALONE = "the workers of a track do not talk to each other: its lease in Redis decides which one serves it."

COMMANDS: dict[str, Treatment] = {
    "gpu_cancel": _kept("Singletrack's own"),
    "gpu_record": _kept("Singletrack's own"),
    # What tells something, and holds nothing up.
    "ping": _kept("tells that the worker is there"),
    "clock": _kept("tells a counter"),
    "report": _kept("tells versions and settings, passwords masked"),
    "conf": _kept("tells settings, passwords masked"),
    "registered": _kept("tells the tasks' names"),
    "active_queues": _kept("tells the queue's name"),
    "revoked": _kept("tells ids"),
    "scheduled": _kept("tells nothing: a message with a time to come is refused"),
    "memsample": _kept("reads one figure of the process"),
    "memdump": _kept("tells the figures that were read"),
    "active": Treatment("replaced", "Celery's tells prompts", _active),
    "reserved": Treatment("replaced", "Celery's tells prompts", flower_stats.reserved),
    "query_task": Treatment("replaced", "Celery's tells prompts", _query_task),
    "stats": Treatment("replaced", "it tells of the GPU, too", flower_stats.stats),
    # What changes something.
    "heartbeat": _kept("sends an event"),
    "enable_events": _kept("they are on already; Flower asks for it"),
    "shutdown": _kept("ends the worker as SIGTERM does"),
    "revoke": Treatment("replaced", "Celery's may also try to kill a thread", _revoke),
    "terminate": _refused(_NO_KILLING),
    "revoke_by_stamped_headers": _refused(f"messages come in without their stamps, and {_NO_KILLING}"),
    "rate_limit": _refused(
        "one job that Celery holds back would hold up the whole track. To have fewer jobs, send fewer: "
        "SINGLETRACK_QUEUE_MAX bounds the queue."
    ),
    "time_limit": _refused(
        "a thread has no time limit, so this would do nothing. Each request has its own: `timeout_s` of the client."
    ),
    "disable_events": _refused("task events stay on, since Flower shows the jobs by them."),
    "pool_grow": _refused(_ONE_AT_A_TIME),
    "pool_shrink": _refused(_ONE_AT_A_TIME),
    "pool_restart": _refused(f"{_ONE_AT_A_TIME} To start the worker anew, end it and start it."),
    "autoscale": _refused(_ONE_AT_A_TIME),
    "add_consumer": _refused(_ONE_QUEUE),
    "cancel_consumer": _refused(_ONE_QUEUE),
    "election": _refused(_ALONE),
    "hello": _refused(_ALONE),
    "objgraph": _refused("the worker would stand still for as long as it takes to draw its whole memory."),
}
