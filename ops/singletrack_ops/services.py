"""Starts the parts that run this project's own code: worker, beat and Flower, each a process with its own log."""

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from singletrack import Client
from singletrack.reading.snapshots import STALE_AFTER_S
from singletrack_ops.errors import OpsError
from singletrack_ops.flower_gpu.access import first_credentials
from singletrack_ops.flower_gpu.config_file import config_file
from singletrack_ops.local.child_process import Child, ended_on_error, wait_until_ready
from singletrack_ops.local.data_folder import fresh_log
from singletrack_ops.local.http_probe import get_text
from singletrack_ops.local.loopback import LOOPBACK, free_port, listens, port_is_free
from singletrack_tasks.errors import NoWorker
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import GPUResourceStatus, WorkerInfo
from singletrack_worker.settings import METRICS_PORT

FLOWER_PORT = 5555
METRICS_HOST_SETTING = "SINGLETRACK_METRICS_HOST"
METRICS_PORT_SETTING = "SINGLETRACK_METRICS_PORT"
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - only compared with
_NEEDED = ("torch", "open_clip", "tenacity", "flower")
_START_TRIES = 3
_WORKER_READY_S = 90.0
_FLOWER_READY_S = 45.0
_PROBE_TIMEOUT_S = 2.0
# It listens already, but a machine on which everything starts at once is slow.
_METRICS_TIMEOUT_S = 10.0
_POLL_S = 0.05
# Longer than a status counts as fresh: until then a worker would have published the next one.
_SIGN_OF_LIFE_S = STALE_AFTER_S + 1


def require_worker_packages() -> None:
    """Raise `OpsError` unless the packages of worker and Flower are installed; imports none of them."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise OpsError(
            f"The worker's packages are not installed ({', '.join(missing)}). "
            "Run `pip install 'singletrack[worker,embedded]'`."
        )


def serving_worker(client: Client) -> WorkerInfo | None:
    """The worker that serves the client's track right now, None if there is none."""
    first = read_status(client)
    deadline = time.monotonic() + _SIGN_OF_LIFE_S
    # A worker that has just ended leaves a status that looks fresh: only the next one proves it alive.
    while first is not None and time.monotonic() < deadline:
        now = read_status(client)
        if now is not None and now.taken_unix_s > first.taken_unix_s:
            return now.worker
        time.sleep(_POLL_S)
    return None


def read_status(client: Client) -> GPUResourceStatus | None:
    """The status of the client's track, None while no worker publishes one."""
    try:
        return client.status()
    except NoWorker:
        return None


def start_worker(folder: Path, env: Mapping[str, str], client: Client) -> Child:
    """Start a worker and wait until it publishes its status; raises `OpsError` with the end of its log."""
    child = _start_celery("worker", folder, env, "--loglevel=INFO")
    return _when_ready(child, lambda: _is_by(child, read_status(client)), _WORKER_READY_S)


def metrics_port(env: Mapping[str, str]) -> str:
    """The port for the worker's metrics: the one that is set, else 9808, or a free one if that is taken."""
    given = env.get(METRICS_PORT_SETTING, "").strip()
    return given or str(METRICS_PORT if port_is_free(METRICS_PORT) else free_port())


def metrics_url(env: Mapping[str, str], worker: WorkerInfo) -> str | None:
    """The URL of that worker's metrics, None if it serves none."""
    host, port = env.get(METRICS_HOST_SETTING, "").strip() or LOOPBACK, metrics_port(env)
    if port == "0":
        return None
    name = LOOPBACK if host in _ANY_ADDRESS else f"[{host}]" if ":" in host else host
    url = f"http://{name}:{port}"
    # Another worker may have the port, which keeps this one from serving.
    served = f'pid="{worker.pid}"' in (get_text(f"{url}/metrics", _METRICS_TIMEOUT_S) or "")
    return f"{url}/metrics" if served else None


def wait_for_clip(worker: Child, client: Client, timeout_s: float) -> None:
    """Wait until CLIP works, or the status says why it does not; raises `OpsError` if the worker ends."""
    wait_until_ready(worker, lambda: _clip_is_decided(read_status(client)), timeout_s)


def start_beat(folder: Path, env: Mapping[str, str]) -> Child:
    """Start beat, which sends the regular checks; raises `OpsError` with the end of its log."""
    child = _start_celery("beat", folder, env, "--loglevel=INFO", f"--schedule={folder / 'beat-schedule'}")
    return _when_ready(child, lambda: "beat: Starting" in child.log_tail(), _WORKER_READY_S)


@dataclass(frozen=True)
class Flower:
    """A running Flower, which answers at `url`."""

    child: Child
    url: str


def start_flower(folder: Path, env: Mapping[str, str], port: int | None) -> Flower:
    """Start Flower on loopback, at `port`, else at 5555, or a free port if that is taken.

    Raises `OpsError` with the end of its log, or if `port` is taken.
    """
    if port is not None and not port_is_free(port):
        raise OpsError(f"Flower cannot listen on port {port}: it is taken. Choose another one, or none for a free one.")
    for tries_left in reversed(range(_START_TRIES)):
        chosen = port or (FLOWER_PORT if port_is_free(FLOWER_PORT) else free_port())
        try:
            return _start_flower_at(folder, env, chosen)
        except OpsError:
            if tries_left and port is None:
                continue  # most likely another program took the port
            raise
    raise AssertionError("the last try returns or raises")


def flower_page(url: str, path: str, env: Mapping[str, str] | None = None) -> str | None:
    """The text of one of Flower's pages, None unless its status is 200; `env` has the password, if any."""
    return get_text(f"{url}{path}", _PROBE_TIMEOUT_S, first_credentials(env or {}))


def _start_flower_at(folder: Path, env: Mapping[str, str], port: int) -> Flower:
    options = (f"--conf={config_file()}", f"--address={LOOPBACK}", f"--port={port}")
    child = _start_celery("flower", folder, env, *options)
    url = f"http://{LOOPBACK}:{port}"

    def ready() -> bool:
        # First whose port it is: another stack's Flower, which took it a moment before, answers as well.
        return listens(child.pid, port) and flower_page(url, "/healthcheck") is not None

    return Flower(_when_ready(child, ready, _FLOWER_READY_S), url)


def _start_celery(name: str, folder: Path, env: Mapping[str, str], *arguments: str) -> Child:
    # In the stack's folder: Celery and Flower import modules that lie in the current one.
    command = (sys.executable, "-m", "celery", "-A", "singletrack_worker", name, *arguments)
    return Child.start(name, command, env=env, cwd=folder, log_path=fresh_log(folder / f"{name}.log"))


def _when_ready(child: Child, ready: Callable[[], bool], timeout_s: float) -> Child:
    with ended_on_error(child):
        wait_until_ready(child, ready, timeout_s)
    return child


def _is_by(child: Child, status: GPUResourceStatus | None) -> bool:
    if status is None:
        return False
    try:
        # On Windows, the Python of a virtual environment starts the one that does the work.
        return status.worker.pid in {child.pid, *(process.pid for process in psutil.Process(child.pid).children())}
    except psutil.NoSuchProcess:
        return False


def _clip_is_decided(status: GPUResourceStatus | None) -> bool:
    if status is None:
        return False
    return status.clip.model is not None or any(
        reason.code is DegradedCode.CLIP_UNAVAILABLE for reason in status.reasons
    )
