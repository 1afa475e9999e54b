"""Show how stock Celery on Redis loses a message: `python lost_message.py [redis://...]`, exit status 1 if it does.

Linux or macOS, with `pip install 'celery[redis]'`. A worker is paused while it waits for work, a task is sent, Redis
hands it to the worker's socket, and the worker is killed before it reads it. All keys have a prefix of their own and
are removed.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

URL = os.environ.get("LOST_MESSAGE_URL") or (sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379/0")
PREFIX = os.environ.setdefault("LOST_MESSAGE_PREFIX", f"lost-message:{uuid.uuid4().hex[:8]}:")
os.environ["LOST_MESSAGE_URL"] = URL
LIMIT_S = 30.0
# How long a worker that has answered is given to ask for the next task.
BREATH_S = 0.2
# Longer than the worker's visibility time-out: what could come back has come back.
PATIENCE_S = 6.0

app = Celery("lost_message", broker=URL, backend=URL)
app.conf.update(
    broker_transport_options={"global_keyprefix": PREFIX, "visibility_timeout": 2, "unacked_restore_interval": 1},
    result_backend_transport_options={"global_keyprefix": PREFIX},
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="lost_message.hello")
def hello() -> str:
    """Answer."""
    return "hello"


def start_worker() -> "subprocess.Popen[bytes]":
    """Start a stock worker with one thread, and wait until it has done a task."""
    command = [sys.executable, "-m", "celery", "-A", "lost_message", "worker", "--pool=threads", "--concurrency=1"]
    worker = subprocess.Popen(
        command, cwd=Path(__file__).resolve().parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        hello.delay().get(timeout=LIMIT_S)
    except BaseException:
        worker.kill()
        worker.wait()
        raise
    return worker


def is_handed_over(server: redis.Redis) -> bool:
    """Whether the queue is empty."""
    return not server.exists(f"{PREFIX}celery")


def send_to_paused(server: redis.Redis, worker: "subprocess.Popen[bytes]") -> "AsyncResult[str]":
    """Pause the worker and send a task; again, until it was paused while it waited for one. Raises `TimeoutError`."""
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        time.sleep(BREATH_S)
        worker.send_signal(signal.SIGSTOP)
        sent = hello.delay()
        if is_handed_over(server):
            return sent
        worker.send_signal(signal.SIGCONT)
        sent.get(timeout=LIMIT_S)
    raise TimeoutError("the worker was never waiting when it was paused")


def main() -> int:
    """Try it, and say what became of the message."""
    server = redis.Redis.from_url(URL)
    worker = start_worker()
    try:
        sent = send_to_paused(server, worker)
        worker.kill()
        worker.wait()
        noted = server.hlen(f"{PREFIX}unacked")
        worker = start_worker()
        try:
            answer = sent.get(timeout=PATIENCE_S)
        except CeleryTimeoutError:
            # Else Celery keeps it until the interpreter ends, and fails to unsubscribe then.
            backend: Any = app.backend
            backend.remove_pending_result(sent)
            print(
                f"the task is lost: no answer in {PATIENCE_S:g} s, none on the queue, {noted} noted as unacknowledged"
            )
            return 1
        print(f"a worker started later answered {answer!r}: nothing was lost")
        return 0
    finally:
        worker.kill()
        worker.wait()
        for name in server.scan_iter(f"{PREFIX}*"):
            server.delete(name)


if __name__ == "__main__":
    sys.exit(main())
