"""What tests of a running worker share: its environment, a look at Ollama itself, work that does not end."""

import functools
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import redis
import requests
from celery import Celery

from singletrack import Client, Job
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.tiny_vlm import write_tiny_vlm
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import start_worker, wait_for_clip
from singletrack_ops.stack import Stack
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.keys import QUEUE, Keys
from singletrack_tasks.requests.vlm import AskResult
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.schema import JsonSchema
from tests.addresses import SILENT_OLLAMA
from tests.integration.ops.waiting import wait_for

# More strings than any model gets through in the time of a test.
ENDLESS: JsonSchema = {"type": "array", "items": {"type": "string"}, "minItems": 100_000}
# Any but that of the tiny model.
THEIR_SEED = 8
# What the desktop takes of a simulated GPU, MiB.
BASE_MB = 300
IDLE_PERCENT = 5.0


def clean_environ() -> dict[str, str]:
    """This process's environment without what could configure a worker, or Celery."""
    ours = ("SINGLETRACK_", "CELERY_", "FLOWER_", "OLLAMA_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def worker_environ(redis_url: str, track: str, ollama: EmbeddedOllama | None, /, **settings: object) -> dict[str, str]:
    """The whole environment of a worker; `settings` are named as the fields of `GPUResourceConfig` are."""
    # Many workers run at once: those that are to be scraped name a port of their own.
    given: dict[str, object] = {"redis_url": redis_url, "track": track, "ollama_url": SILENT_OLLAMA, "metrics_port": 0}
    if ollama is not None:
        given |= {"ollama_url": ollama.url, "vlm_model": ollama.model}
    return clean_environ() | {f"SINGLETRACK_{name.upper()}": str(value) for name, value in (given | settings).items()}


@contextmanager
def running_worker(folder: Path, environ: dict[str, str]) -> Iterator[tuple[Child, Client]]:
    """A worker that serves, CLIP included, and a client of it; the worker has ended afterwards."""
    folder.mkdir(exist_ok=True)
    with Client(environ["SINGLETRACK_REDIS_URL"], environ["SINGLETRACK_TRACK"]) as client:
        worker = start_worker(folder, environ, client)
        try:
            wait_for_clip(worker, client, 180)
            yield worker, client
        finally:
            if worker.alive:
                worker.ask_to_end()
                worker.wait(20)
            worker.stop(1)


def loaded(ollama: EmbeddedOllama) -> list[str]:
    """The names, without tags, that the server itself lists as loaded."""
    listed = requests.get(f"{ollama.url}/api/ps", timeout=10).json()["models"]
    return [model["name"].partition(":")[0] for model in listed]


def is_loaded(ollama: EmbeddedOllama) -> bool:
    """Whether the server itself lists its model as loaded."""
    return ollama.model in loaded(ollama)


def load(ollama: EmbeddedOllama, model: str | None) -> None:
    """Load a model as somebody else would."""
    answer = requests.post(f"{ollama.url}/api/generate", json={"model": model, "keep_alive": 60}, timeout=30)
    answer.raise_for_status()


def unload(ollama: EmbeddedOllama, model: str | None) -> None:
    """Unload a model as somebody else would."""
    requests.post(f"{ollama.url}/api/generate", json={"model": model, "keep_alive": 0}, timeout=30)
    wait_until_gone(lambda: model not in loaded(ollama))


def wait_until_gone(is_gone: Callable[[], bool]) -> None:
    """Wait for a model that was sent away to leave the server's list.

    A server that is asked for its list in that very moment may crash (`OllamaManager` tells of it): not at once.
    """
    past(0.02)
    wait_for(is_gone, "the model is gone")


@contextmanager
def another_model(ollama: EmbeddedOllama) -> Iterator[str]:
    """A model of other weights, by its name at the server, which is not loaded any more afterwards."""
    name = _their_model(ollama.url)
    try:
        yield name
    finally:
        unload(ollama, name)


@functools.cache
def _their_model(url: str) -> str:
    """Give the server, once, the text part of the tiny model with other numbers in it; returns its name."""
    name = "somebodys-model"
    with tempfile.TemporaryDirectory() as folder:
        weights = (write_tiny_vlm(Path(folder), THEIR_SEED).parent / "text.gguf").read_bytes()
    digest = f"sha256:{hashlib.sha256(weights).hexdigest()}"
    requests.post(f"{url}/api/blobs/{digest}", data=weights, timeout=30).raise_for_status()
    model = {"model": name, "files": {"text.gguf": digest}, "template": "{{ .Prompt }}", "stream": False}
    requests.post(f"{url}/api/create", json=model, timeout=30).raise_for_status()
    return name


@contextmanager
def alias_of_ours(ollama: EmbeddedOllama) -> Iterator[str]:
    """Another name of the server's model, which is gone again afterwards, as is the model from memory."""
    name = "alias"
    copy = {"source": ollama.model, "destination": name}
    requests.post(f"{ollama.url}/api/copy", json=copy, timeout=30).raise_for_status()
    try:
        yield name
    finally:
        unload(ollama, name)
        requests.delete(f"{ollama.url}/api/delete", json={"model": name}, timeout=30).raise_for_status()


def load_behind_its_back(ollama: EmbeddedOllama) -> None:
    """Load the model as somebody else would."""
    load(ollama, ollama.model)
    wait_for(lambda: is_loaded(ollama), "the model is listed")


def unload_behind_its_back(ollama: EmbeddedOllama) -> None:
    """Unload the model as somebody else would."""
    unload(ollama, ollama.model)


def runner_percent(ollama: EmbeddedOllama) -> float:
    """How busy the server's models keep the CPU, in percent of one core over a fifth of a second."""
    assert ollama.child is not None
    busy = 0.0
    for process in psutil.Process(ollama.child.pid).children(recursive=True):
        try:
            busy += process.cpu_percent(0.2) if "runner" in process.cmdline() else 0.0
        except psutil.NoSuchProcess:
            continue
    return busy


def submit_endless(client: Client, timeout_s: float = 300) -> Job[AskResult]:
    """Ask what has no end; returns when the model writes the answer."""
    job = client.submit_ask("list everything", schema=ENDLESS, timeout_s=timeout_s)
    wait_for(lambda: is_written(client, job.id), "the model answers")
    return job


def is_written(client: Client, job_id: str) -> bool:
    """Whether the model writes the answer to that job, by the last snapshot."""
    operation = client.status().operation
    return operation is not None and (operation.job_id, operation.stage) == (job_id, "generate")


def in_flight(client: Client) -> str | None:
    """The job that has the GPU, by the last snapshot."""
    operation = client.status().operation
    return operation.job_id if operation else None


def wait_until_quiet(ollama: EmbeddedOllama) -> None:
    """Wait until the server generates nothing any more."""
    wait_for(lambda: runner_percent(ollama) < IDLE_PERCENT, "the model is quiet")


def forget_embeddings(redis_url: str, track: str) -> None:
    """Empty the cache of embeddings."""
    with redis.Redis.from_url(redis_url) as connection:
        names = list(connection.scan_iter(f"{Keys(track).prefix}vector:*"))
        assert names
        connection.delete(*names)


def reason_codes(client: Client) -> set[DegradedCode]:
    """Why the track is degraded, by its last snapshot."""
    return {reason.code for reason in client.status().reasons}


def tasks_in_log(log: Path, task: str, outcome: str) -> list[str]:
    """The lines of a worker's log that tell the outcome of tasks of that name."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if f"Task {task}[" in line and f"] {outcome}" in line]


def last_event_id(client: Client) -> str:
    """Where the stream of events ends now."""
    ids = [event_id for event_id, _ in client.events()]
    return ids[-1] if ids else "0-0"


def events_since(client: Client, event_id: str) -> list[AnyEvent]:
    """The events after that one."""
    return [event for _, event in client.events(since=event_id)]


def inspected(stack: Stack, command: str) -> str:
    """What Celery's own command line is told by the worker of a stack; raises if there is no reply."""
    # With a name to wait for, it ends at the reply, however long it might have waited.
    patience = ("--timeout=30", f"--destination=celery@{socket.gethostname()}")
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "singletrack_worker", "inspect", *patience, command],
        env=dict(stack.worker_env),
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def foreign_producer(redis_url: str, track: str) -> Iterator[Celery]:
    """A plain Celery app, as somebody would write it who has read the names of the tasks and nothing else."""
    prefix = {"global_keyprefix": Keys(track).prefix}
    app = Celery("foreign", broker=redis_url, backend=redis_url, set_as_current=False)
    app.conf.update(broker_transport_options=prefix, result_backend_transport_options=prefix, task_default_queue=QUEUE)
    try:
        yield app
    finally:
        backend: Any = app.backend
        backend.result_consumer.stop()
        backend.client.connection_pool.disconnect()
        app.close()


def past(duration_s: float) -> None:
    """Let time go by, where time itself is what the test is about."""
    until_s = time.monotonic() + duration_s
    wait_for(lambda: time.monotonic() > until_s, "time goes by", duration_s + 5)
