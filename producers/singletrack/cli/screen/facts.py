"""A status in lines of words, the most important first; ages are as of `at_unix_s`."""

from datetime import datetime

from singletrack.cli.output import clock_time, duration, megabytes, one_line, short_id
from singletrack_tasks.status import Drift, GPUResourceStatus, LastError, ModelState, OperationInFlight

_NOT_SAID = "unknown"


def gpu_name(now: GPUResourceStatus) -> str:
    """Name the GPU, and say so if it is simulated."""
    if now.gpu is None:
        return "none: everything runs on the CPU"
    name = one_line(now.gpu.name)
    if now.gpu.unified_memory:
        return f"{name} (unified memory: the figures are the system's)"
    return name if not now.gpu.simulated or "simulated" in name.lower() else f"{name} (simulated)"


def vram_used(now: GPUResourceStatus) -> str:
    """Say how much of the memory is in use."""
    if now.vram is None:
        return "none" if now.gpu is None else _NOT_SAID
    return f"{now.vram.used_mb:,} of {megabytes(now.vram.total_mb)} used, {megabytes(now.vram.free_mb)} free"


def vlm_lines(now: GPUResourceStatus, at_unix_s: float) -> list[str]:
    """Describe the VLM: its state, how long it has been idle, its learned size and load time."""
    vlm = now.vlm
    size = "" if vlm.vram_mb is None else f", {megabytes(vlm.vram_mb)} of VRAM"
    if vlm.vram_mb is not None and vlm.size_mb is not None and vlm.vram_mb < vlm.size_mb:
        size += f", {megabytes(vlm.size_mb - vlm.vram_mb)} on the CPU"
    learned = _learned(vlm.footprint_mb, "loads", now.durations_s.get("load_vlm"))
    return _filled(
        f"{one_line(vlm.model)}: {vlm.state}{size}",
        ", ".join((*vlm_rest(now, at_unix_s), *_needed(now, at_unix_s))),
        learned,
    )


def vlm_rest(now: GPUResourceStatus, at_unix_s: float) -> list[str]:
    """Say how long the VLM has been idle, and when it will be unloaded; empty if it has not been used."""
    vlm = now.vlm
    if now.operation is not None and now.operation.kind == "ask":
        return ["in use"]
    if vlm.last_used_unix_s is None:
        return []
    idle_s = max(0.0, at_unix_s - vlm.last_used_unix_s)
    if vlm.state is not ModelState.LOADED:
        return [f"last used {duration(idle_s)} ago"]
    left_s = vlm.idle_timeout_s - idle_s
    end = f"unloads in {duration(left_s)}" if left_s > 0 else "unloads at the next check"
    return [f"idle for {duration(idle_s)}", end if vlm.idle_timeout_s else "stays when idle"]


def _needed(now: GPUResourceStatus, at_unix_s: float) -> list[str]:
    """Say when the next announced need of the VLM begins."""
    if now.intents.needed_unix_s is None:
        return []
    left_s = now.intents.needed_unix_s - at_unix_s
    return [f"announced to be needed in {duration(left_s)}" if left_s > 0 else "announced to be needed now"]


def clip_lines(now: GPUResourceStatus) -> list[str]:
    """Describe CLIP: where it is, its processes, its learned size and move time."""
    clip = now.clip
    if clip.model is None:
        return ["not loaded"]
    untrained = "" if clip.model.trained else " (untrained)"
    pids = ((name, pid) for name, pid in (("CPU", clip.cpu_pid), ("GPU", clip.gpu_pid)) if pid is not None)
    shown = ", ".join(f"{pid} for the {name}" for name, pid in pids)
    learned = _learned(clip.footprint_mb, "moves to the GPU", now.durations_s.get("promote_clip"))
    where = f"{one_line(clip.model.name)}{untrained} on {one_line(clip.device)}"
    return _filled(where, f"encoder pids: {shown}" if shown else "", learned)


def operation_lines(now: GPUResourceStatus, at_unix_s: float) -> list[str]:
    """Describe the operation in flight, and its stage."""
    operation = now.operation
    if operation is None:
        return ["none"]
    job = f" (job {one_line(operation.job_id)})" if operation.job_id else ""
    first = f"{operation.kind} for {duration(operation.age_s(at_unix_s))}{job}"
    stage = f"{operation.stage} {duration(operation.stage_s(at_unix_s))}"
    return [first, f"{stage}{_tokens(operation, now.taken_unix_s)}"]


def queue_lines(now: GPUResourceStatus) -> list[str]:
    """Describe the queue: its length, the wait of a new job, the next jobs."""
    queue = now.queue
    if queue is None:
        return [_NOT_SAID]
    oldest = "" if queue.oldest_age_s is None else f", the oldest for {duration(queue.oldest_age_s)}"
    wait = "no estimate of the wait yet"
    if queue.wait_s is not None:
        wait = f"a job sent now waits about {duration(queue.wait_s)}" if queue.wait_s else "a job begins at once"
    more = ", ..." if queue.length > len(queue.next_up) else ""
    coming = f"next: {', '.join(map(one_line, queue.next_up))}{more}" if queue.next_up else ""
    names = (f"{short_id(job)} ({starts} starts without an end)" for job, starts in queue.suspects.items())
    held_back = f"held back: {', '.join(names)}" if queue.suspects else ""
    return _filled(f"{queue.length:,} waiting{oldest}", wait, coming, held_back)


def worker_name(now: GPUResourceStatus) -> str:
    """Name the worker: host, pid and release."""
    return f"{one_line(now.worker.host)}:{now.worker.pid}, release {one_line(now.worker.release)}"


def lease_line(now: GPUResourceStatus) -> str:
    """Describe the worker's lease on the track."""
    if now.lease is None:
        return _NOT_SAID
    if not now.lease.token:
        return "none: another worker has the track"
    return f"token {now.lease.token}, since {clock_time(now.lease.since_unix_s)}"


def drift_line(drift: Drift, at_unix_s: float) -> str:
    """Describe something foreign on the GPU."""
    what = "foreign model" if drift.what == "foreign_model" else "foreign VRAM"
    size = "" if drift.vram_mb is None else f", {megabytes(drift.vram_mb)}"
    pid = "" if drift.pid is None else f", pid {drift.pid}"
    return f"{what}: {one_line(drift.name)}{size}{pid}, for {duration(max(0.0, at_unix_s - drift.since_unix_s))}"


def error_line(error: LastError) -> str:
    """Describe the last error: the operation, its job, what was wrong."""
    job = f" (job {short_id(error.job_id)})" if error.job_id else ""
    return f"{error.kind}{job}: {error.error}: {one_line(error.message)}"


def time_of_day(unix_s: float) -> str:
    """Format the time of day of a Unix time, in this machine's time zone."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%H:%M:%S")


def _tokens(operation: OperationInFlight, taken_unix_s: float) -> str:
    """Say how much of an answer there is, and how fast it came until the status was taken."""
    tokens, since_s = operation.answer_tokens, operation.stage_since_unix_s
    if tokens is None:
        return ""
    generated_s = 0.0 if since_s is None else taken_unix_s - since_s
    rate = f", {tokens / generated_s:.1f}/s" if operation.stage == "generate" and generated_s >= 1 else ""
    return f", {tokens:,} tokens{rate}"


def _learned(footprint_mb: int | None, verb: str, took_s: float | None) -> str:
    size = "" if footprint_mb is None else f"takes {megabytes(footprint_mb)}"
    time = "" if took_s is None else f"{verb} in {duration(took_s)}"
    return ", ".join(_filled(size, time))


def _filled(*lines: str) -> list[str]:
    return [line for line in lines if line]
