"""What the worker tells Celery's remote control, and through it Flower, about its GPU: short strings, no payloads.

Flower prints every key of `stats["pool"]` on a worker's first tab, and most of the other keys on its tab Other.
"""

import logging
from typing import Any

from celery.worker import state as worker_state
from celery.worker.control import Panel

from singletrack_tasks.status import GPUResourceStatus, ModelState

_log = logging.getLogger(__name__)
_CELERYS_STATS: Any = Panel.data["stats"]
_NONE = "none"
_SHOWN_CHARS = 200


def stats(state: Any, **options: Any) -> dict[str, Any]:
    """Return Celery's figures and the GPU's; without a manager, or if this fails, Celery's figures still come."""
    told: dict[str, Any] = dict(_CELERYS_STATS(state, **options))
    try:
        status = _status(state)
        first, other = ({}, {"gpu": "the worker is starting or ending"}) if status is None else _lines(status)
        told["pool"] = {**told.get("pool", {}), **first}
        return told | other
    except Exception:
        _log.exception("cannot report the GPU's figures")
        return told | {"gpu": "unknown: see the worker's log"}


def reserved(state: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the summaries of jobs in hand that do not run yet, as `active` does of those that run."""
    waiting = state.tset(worker_state.reserved_requests) - state.tset(worker_state.active_requests)
    return [request.info(safe=True) for request in waiting]


def _status(state: Any) -> GPUResourceStatus | None:
    running = getattr(state.consumer.controller, "gpu_worker", None)
    status: GPUResourceStatus | None = None if running is None else running.manager.glance()
    return status


def _lines(status: GPUResourceStatus) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the first tab shows, and what the tab Other shows."""
    used_mb, total_mb = (status.vram.used_mb, status.vram.total_mb) if status.vram else (None, None)
    token = str(status.lease.token) if status.lease else _NONE
    reasons = _short("; ".join(reason.message for reason in status.reasons))
    failed = status.last_error
    first = {
        "gpu-mode": str(status.mode),
        "gpu-vlm": _vlm(status),
        "gpu-clip": status.clip.device,
        "gpu-vram": _vram(status),
        "gpu-degraded": ", ".join(reason.code for reason in status.reasons) or _NONE,
        "gpu-operation": _operation(status),
        "gpu-token": token,
    }
    other = {
        "gpu_name": _name(status),
        "gpu_mode": str(status.mode),
        "gpu_vlm": str(status.vlm.state),
        "gpu_vlm_model": status.vlm.model,
        "gpu_vlm_vram_mb": _figure(status.vlm.vram_mb),
        "gpu_clip_device": status.clip.device,
        "gpu_clip_cpu_pid": _figure(status.clip.cpu_pid),
        "gpu_clip_gpu_pid": _figure(status.clip.gpu_pid),
        "gpu_vram_used_mb": _figure(used_mb),
        "gpu_vram_total_mb": _figure(total_mb),
        "gpu_degraded_reason": reasons,
        "gpu_drift": _short(", ".join(f"{found.what} {found.name}" for found in status.drift)),
        "gpu_operation": _operation(status),
        "gpu_job": status.operation.job_id if status.operation and status.operation.job_id else _NONE,
        "gpu_last_error": _NONE if failed is None else f"{failed.error} in {failed.kind}",
        "gpu_lease_token": token,
        "gpu_track": status.track,
        "gpu_worker_release": status.worker.release,
    }
    return first, other


def _vram(status: GPUResourceStatus) -> str:
    if status.vram is None:
        return "no GPU" if status.gpu is None else "unknown"
    return f"{status.vram.used_mb} of {status.vram.total_mb} MB"


def _vlm(status: GPUResourceStatus) -> str:
    size = f", {status.vlm.vram_mb} MB" if status.vlm.state is ModelState.LOADED and status.vlm.vram_mb else ""
    return f"{status.vlm.state}{size}"


def _name(status: GPUResourceStatus) -> str:
    if status.gpu is None:
        return _NONE
    told = not status.gpu.simulated or "simulated" in status.gpu.name
    return status.gpu.name if told else f"{status.gpu.name}, simulated"


def _operation(status: GPUResourceStatus) -> str:
    operation = status.operation
    if operation is None:
        return _NONE
    return f"{operation.kind}, {operation.stage}, for {operation.age_s(status.taken_unix_s):.1f} s"


def _figure(value: int | None) -> str:
    return _NONE if value is None else str(value)


def _short(text: str) -> str:
    return text[:_SHOWN_CHARS] or _NONE
