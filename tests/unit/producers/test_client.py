"""A client and a worker: answers, errors, deadlines, cancelling."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, field_validator

from singletrack.client import Client
from singletrack.job import JobState
from singletrack.reading.snapshots import Snapshot, SnapshotReader
from singletrack_tasks.errors import (
    AnswerOutsideSchema,
    DeadlinePassed,
    JobCancelled,
    NotEnoughVram,
    NoWorker,
    WorkerFailure,
)
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.unit.producers.conftest import LONELY_TRACK, TRACK, Backstage, start_worker, stop, wait_until
from tests.unit.producers.sample_images import noise, png


class Invoice(BaseModel):
    number: int
    due: date

    @field_validator("number")
    @classmethod
    def _is_not_thirteen(cls, number: int) -> int:
        if number == 13:
            raise ValueError("there is no invoice 13")
        return number


def test_every_operation_comes_back_as_its_result(client: Client) -> None:
    assert client.set_mode(ExecutionMode.RECORDING).after is ExecutionMode.RECORDING
    assert client.set_mode("AUTOPILOT").before is ExecutionMode.RECORDING
    assert client.ensure_vlm_loaded().state is ModelState.LOADED
    assert client.ensure_vlm_unloaded().state is ModelState.UNLOADED
    assert client.clip_device() == "cpu"
    assert client.ping().track == TRACK
    assert client.submit(Tick()).result().idle_unloaded is False


def test_an_answer_is_text_or_json_or_a_model(client: Client) -> None:
    plain = client.ask("hello", options=VlmOptions(temperature=0), timeout_s=20)
    assert (plain.text, plain.value) == ("hello", None)
    parsed = client.ask('json:{"a": [1]}', schema={"type": "object"}, timeout_s=20)
    assert parsed.value == {"a": [1]}
    invoice = client.ask('json:{"number": 7, "due": "2030-01-31"}', schema=Invoice, timeout_s=20).value
    assert invoice == Invoice(number=7, due=date(2030, 1, 31))


def test_an_answer_that_the_model_class_refuses_keeps_its_text(client: Client) -> None:
    text = '{"number": 13, "due": "2030-01-31"}'
    with pytest.raises(AnswerOutsideSchema, match="no invoice 13") as caught:
        client.ask(f"json:{text}", schema=Invoice, timeout_s=20)
    assert caught.value.raw_text == text


def test_images_of_every_kind_arrive(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(size=(5, 6)))
    answer = client.ask("sizes ", [file, str(file), png(size=(7, 8)), noise(1)], timeout_s=20)
    assert answer.text == "sizes [(5, 6), (5, 6), (7, 8), (32, 24)]"


def test_an_image_is_sent_once(client: Client, backstage: Backstage) -> None:
    image = png((1, 2, 3), (9, 9))
    client.ask("what is it?", [image], timeout_s=20)
    payloads = backstage.traces[2]
    client.ask("what is it really?", [image, image], timeout_s=20)
    assert backstage.traces[2] == payloads


def test_errors_of_the_worker_arrive_as_themselves(client: Client) -> None:
    with pytest.raises(NotEnoughVram) as caught:
        client.ask("too big", timeout_s=20)
    assert caught.value.details["needed_mb"] == 9000
    job = client.submit_ask("crash", timeout_s=20)
    with pytest.raises(WorkerFailure, match="RuntimeError: no such thing"):
        job.result()
    assert job.state is JobState.FAILED


def test_an_error_of_celerys_own_is_a_worker_failure(redis_url: str, lonely_backstage: Backstage) -> None:
    foreign = b'{"status": "FAILURE", "result": {"exc_type": "Strange", "exc_message": ["odd"], "exc_module": "gone"}'
    with Client(redis_url, LONELY_TRACK) as other:
        job = other.submit(Ping(), timeout_s=20)
        meta = foreign + f', "task_id": "{job.id}", "traceback": null, "children": []}}'.encode()
        lonely_backstage.redis.set(lonely_backstage.keys.result(job.id), meta, ex=60)
        with pytest.raises(WorkerFailure, match="Strange: odd"):
            job.result()


def test_a_job_is_queued_then_running_then_cancelled(client: Client, backstage: Backstage) -> None:
    ran = len(backstage.ran)
    running = client.submit_ask("wait", timeout_s=60)
    queued = client.submit(Ping(), timeout_s=60)
    wait_until(lambda: running.state is JobState.RUNNING)
    # Celery says so before the worker looks whether the job was cancelled.
    wait_until(lambda: backstage.ran[ran:] == ["ask"])
    assert queued.state is JobState.QUEUED
    running.cancel()
    # The state alone would be the client's own word: the worker is to say it.
    wait_until(lambda: running._sender.look(running.id).ended)
    assert running.state is JobState.CANCELLED
    with pytest.raises(JobCancelled, match="broken off"):
        running.result()
    assert queued.result().track == TRACK
    assert (running.state, queued.state) == (JobState.CANCELLED, JobState.DONE)


def test_a_job_that_ends_between_two_looks_is_not_told_to_wait(
    lonely: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = lonely.submit(Ping(), timeout_s=20)
    look = SnapshotReader.read

    def look_at_its_end(reader: SnapshotReader) -> Snapshot | None:
        snapshot = look(reader)
        lonely_backstage.answer(job.id, {"track": "x"})
        return snapshot

    monkeypatch.setattr(SnapshotReader, "read", look_at_its_end)
    assert job.state is JobState.DONE


def test_a_queued_job_that_is_cancelled_never_runs(client: Client, backstage: Backstage) -> None:
    running = client.submit_ask("wait", timeout_s=60)
    queued = client.submit_mode("IDLE", timeout_s=60)
    ran = len(backstage.ran)
    queued.cancel()
    with pytest.raises(JobCancelled):
        queued.result()
    running.cancel()
    client.ping(timeout_s=20)
    assert "mode" not in backstage.ran[ran:]
    assert queued.state is JobState.CANCELLED


def test_a_cancelled_job_that_had_ended_keeps_its_result(client: Client) -> None:
    job = client.submit_ask("hello", timeout_s=20)
    wait_until(lambda: job.state is JobState.DONE)
    job.cancel()
    assert job.result().text == "hello"


def test_the_result_of_a_cancelled_job_is_looked_for_but_not_listened_for(
    lonely: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery listens for a second at least."""
    job = lonely.submit(Ping(), timeout_s=60)
    job.cancel()
    monkeypatch.delattr(type(lonely._sender), "wait")
    with pytest.raises(JobCancelled, match="was cancelled"):
        job.result()


def test_a_job_that_takes_too_long_is_cancelled(client: Client, backstage: Backstage) -> None:
    job = client.submit_ask("wait", timeout_s=1)
    with pytest.raises(DeadlinePassed, match="timeout_s"):
        job.result()
    assert backstage.redis.exists(backstage.keys.cancel(job.id))
    assert client.ping(timeout_s=20).track == TRACK


def test_a_result_can_be_waited_for_in_any_thread_and_twice(client: Client) -> None:
    job = client.submit_ask("hello", timeout_s=20)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(job.result).result().text == "hello"
    assert job.result().text == "hello"


def test_many_threads_share_a_client(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.ask(f"number {n}", timeout_s=60).text, range(40)))
    assert answers == [f"number {n}" for n in range(40)]


def test_an_agent_with_a_celery_of_its_own_is_left_alone(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://127.0.0.1:1/0")
    with Client(served, TRACK) as client:
        assert client.ping(timeout_s=20).track == TRACK


def test_the_message_is_compact_and_tells_flower_no_payload(lonely: Client, lonely_backstage: Backstage) -> None:
    lonely.submit_ask("a prompt " * 100, [png()], timeout_s=20)
    (message,) = lonely_backstage.redis.lrange(lonely_backstage.keys.queue, 0, -1)
    assert b"prompt of 900 characters, images=1" in message
    assert b"a prompt a prompt" not in message
    assert len(message) < 4096


def test_without_a_worker_the_wait_ends_after_the_grace(lonely: Client, lonely_backstage: Backstage) -> None:
    job = lonely.submit(Ping(), timeout_s=60)
    with pytest.raises(NoWorker, match=r"never been seen.*singletrack up.*celery -A singletrack_worker worker"):
        job.result()
    assert lonely_backstage.redis.exists(lonely_backstage.keys.cancel(job.id))
    assert job.state is JobState.CANCELLED


def test_without_a_worker_the_wait_ends_within_the_time_out(lonely: Client, lonely_backstage: Backstage) -> None:
    with pytest.raises(NoWorker):
        lonely.ping(timeout_s=0.2)


def test_a_worker_that_dies_is_noticed(redis_url: str, tmp_path: Path) -> None:
    worker = start_worker(redis_url, "dying", tmp_path / "log")
    try:
        with Client(redis_url, "dying", worker_grace_s=0.5) as client:
            job = client.submit_ask("wait", timeout_s=60)
            wait_until(lambda: job.state is JobState.RUNNING)
            stop(worker)
            with pytest.raises(NoWorker, match="last seen"):
                job.result()
    finally:
        stop(worker)


def test_a_job_nobody_waited_for_expires(lonely: Client, lonely_backstage: Backstage) -> None:
    job = lonely.submit(Ping(), timeout_s=0.05)
    wait_until(lambda: job.state is JobState.EXPIRED)


def test_ctrl_c_cancels_the_job(client: Client, monkeypatch: pytest.MonkeyPatch, backstage: Backstage) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client._sender, "wait", interrupt)
    before = set(backstage.redis.scan_iter(backstage.keys.cancel("*")))
    with pytest.raises(KeyboardInterrupt):
        client.ask("wait", timeout_s=60)
    assert set(backstage.redis.scan_iter(backstage.keys.cancel("*"))) - before


def test_the_deadline_is_told_by_the_clock_of_redis(
    lonely: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    seconds, _ = lonely_backstage.redis.time()
    assert abs(lonely._link.now_unix_s() - seconds) < 5
    assert lonely._link.now_unix_s() >= seconds


def test_a_result_that_is_none_is_a_worker_failure(redis_url: str, lonely_backstage: Backstage) -> None:
    with Client(redis_url, LONELY_TRACK) as client:
        job = client.submit(Ping(), timeout_s=20)
        lonely_backstage.answer(job.id, {"track": 7})
        with pytest.raises(WorkerFailure, match="same release"):
            job.result()
