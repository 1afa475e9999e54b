"""R5.4: many clients, one GPU; what Celery's own events tell of who had it when."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from singletrack import Client, Job
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.embedding import EmbedTexts, FindClip
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm, VlmOptions
from singletrack_tasks.status import ExecutionMode
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import foreign_producer, inspected, submit_endless

pytestmark = pytest.mark.ollama

CLIENTS = 8
STARTED, ENDED = "task-started", ("task-succeeded", "task-failed")


class Record:
    """The order in which tasks began and ended, as the worker told it while it happened."""

    def __init__(self, redis_url: str, track: str) -> None:
        self.entries: list[tuple[str, str]] = []
        self._url, self._track = redis_url, track
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._listen)

    @contextmanager
    def running(self) -> Iterator["Record"]:
        self._thread.start()
        try:
            wait_for(lambda: self._receiver is not None, "the receiver is there")
            yield self
        finally:
            self._receiver.should_stop = True
            self._thread.join()

    def ended(self, job_id: str) -> bool:
        return any(kind in ENDED and told == job_id for kind, told in list(self.entries))

    def _listen(self) -> None:
        handlers = dict.fromkeys((STARTED, *ENDED), self._note)
        with foreign_producer(self._url, self._track) as app, app.connection_for_read() as connection:
            self._receiver = app.events.Receiver(connection, handlers=handlers)
            self._receiver.capture(limit=None, timeout=None, wakeup=False)

    def _note(self, event: dict[str, Any]) -> None:
        self.entries.append((event["type"], event["uuid"]))


@pytest.fixture
def record(client: Client, stack: Stack) -> Iterator[Record]:
    with Record(stack.redis_url, client.track).running() as made:
        wait_for(lambda: bool(ping(client) and made.entries), "the record has begun")
        # Nothing of the pings before comes after the end of the last, which is told later than its result is there.
        last = ping(client)
        wait_for(lambda: made.ended(last), "the last ping has ended")
        made.entries.clear()
        yield made


def ping(client: Client) -> str:
    job = client.submit(Ping())
    job.result()
    return job.id


def mixed_work(number: int) -> list[Request[Any]]:
    """What one client sends, each its own way through the operations."""
    work: list[Request[Any]] = [
        Ask(prompt=f"question {number}", options=VlmOptions(max_tokens=2)),
        EmbedTexts(texts=(f"text {number}",)),
        FindClip(),
        LoadVlm(),
        UnloadVlm(),
        SetMode(mode=ExecutionMode.RECORDING if number % 2 else ExecutionMode.IDLE),
        Ping(),
    ]
    return work[number % len(work) :] + work[: number % len(work)]


def test_r5_4_operations_of_many_clients_run_one_at_a_time_and_in_order(stack: Stack, record: Record) -> None:
    sent: list[list[Job[Any]]] = [[] for _ in range(CLIENTS)]

    def send(number: int) -> None:
        with stack.client() as own:
            for request in mixed_work(number):
                sent[number].append(own.submit(request))
            for job in sent[number]:
                job.result()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = [job.id for own in sent for job in own]
    wait_for(lambda: all(record.ended(job) for job in jobs), "the record is complete")

    kinds = [kind for kind, _ in record.entries]
    assert kinds[::2] == [STARTED] * len(jobs)
    assert all(kind in ENDED for kind in kinds[1::2])
    turns = [job for kind, job in record.entries if kind == STARTED]
    assert [job for kind, job in record.entries if kind in ENDED] == turns
    for own in sent:
        ids = [job.id for job in own]
        assert [job for job in turns if job in ids] == ids


def test_the_control_plane_answers_during_a_long_operation(client: Client, stack: Stack) -> None:
    job = submit_endless(client)
    answer = inspected(stack, "ping")
    assert "pong" in answer
    assert "1 node online" in answer
    job.cancel()
