"""What others put on the queue: every message ends with a result or a typed error, and the next one is served."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery, chunks, xmap, xstarmap

from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks import errors
from singletrack_tasks.keys import QUEUE, Keys
from singletrack_tasks.payload.blobs import Blob, BlobStore
from singletrack_tasks.requests.vlm import Ask
from singletrack_worker.delivery.envelope import MESSAGE_MAX_BYTES
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import foreign_producer
from tests.unit.worker.messages import body, changed, message, raw
from tests.unit.worker.spoiled import spoiled

pytestmark = pytest.mark.ollama

GONE = Blob.of(b"a payload that nobody ever stored", "file").dump()


@pytest.fixture
def producer(client: Client, stack: Stack) -> Iterator[Celery]:
    with foreign_producer(stack.redis_url, client.track) as app:
        yield app


def send(producer: Celery, task: str, **arguments: Any) -> Any:
    result = producer.send_task(task, **arguments)
    try:
        return result.get(timeout=120)
    finally:
        result.forget()


def test_a_message_in_plain_json_is_served(producer: Celery) -> None:
    answer = send(producer, "gpu.vlm.ask", kwargs={"request": {"prompt": "hello", "options": {"max_tokens": 1}}})
    assert answer["text"]
    assert answer["version"] == 1


@pytest.mark.parametrize(
    ("task", "request_", "error", "words"),
    [
        ("gpu.vlm.ask", {"prompt": "hello", "version": 2}, errors.UnsupportedVersion, "same release"),
        ("gpu.vlm.ask", {"prompt": "hello", "version": None}, errors.UnsupportedVersion, "not supported"),
        ("gpu.vlm.ask", {"question": "hello"}, errors.InvalidRequest, "prompt: Field required"),
        ("gpu.vlm.ask", {"prompt": ""}, errors.InvalidRequest, "prompt"),
        ("gpu.vlm.ask", {"prompt": "x" * 100_001}, errors.InvalidRequest, "prompt"),
        ("gpu.vlm.ask", {"prompt": "hello", "images": [GONE] * 17}, errors.InvalidRequest, "images"),
        ("gpu.vlm.ask", {"prompt": "hello", "images": [GONE]}, errors.BlobMissing, "Send it again"),
        (
            "gpu.vlm.ask",
            {"prompt": "hello", "json_schema": {"type": "nonsense"}},
            errors.InvalidRequest,
            "not a valid JSON",
        ),
        ("gpu.vlm.ask", {"prompt": "hello", "json_schema": "string"}, errors.InvalidRequest, "object"),
        ("gpu.vlm.ask", {"prompt": "hello", "options": {"temperature": -1}}, errors.InvalidRequest, "temperature"),
        ("gpu.vlm.ask", {"prompt": "hello", "deadline_unix_s": 1}, errors.DeadlinePassed, "was not started"),
        ("gpu.vlm.ask", None, errors.InvalidRequest, "Ask"),
        ("gpu.vlm.ask", ["hello"], errors.InvalidRequest, "Ask"),
        ("gpu.mode.set", {"mode": "TURBO"}, errors.InvalidRequest, "mode"),
        ("gpu.mode.set", {"mode": None}, errors.InvalidRequest, "mode"),
        ("gpu.embed.texts", {"texts": []}, errors.InvalidRequest, "texts"),
        ("gpu.embed.texts", {"texts": ["x" * 4001]}, errors.InvalidRequest, "texts"),
        ("gpu.embed.texts", {"texts": ["x"] * 257}, errors.InvalidRequest, "texts"),
        ("gpu.embed.images", {"images": [GONE]}, errors.BlobMissing, "Send it again"),
        ("gpu.embed.images", {"images": [{**GONE, "sha256": "../state"}]}, errors.InvalidRequest, "sha256"),
    ],
)
def test_a_wrong_message_is_told_why(
    producer: Celery, client: Client, task: str, request_: Any, error: type[errors.SingletrackError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        send(producer, task, kwargs={"request": request_})
    assert not isinstance(caught.value, errors.WorkerFailure)
    assert client.ping().track == client.track


@pytest.mark.parametrize("arguments", [{}, {"kwargs": {"request": {}, "more": 1}}, {"args": [{}, {}]}])
def test_a_message_without_its_one_argument_is_told_so(
    producer: Celery, client: Client, arguments: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidRequest):
        send(producer, "gpu.ping", **arguments)
    assert client.ping().track == client.track


def test_a_task_that_there_is_not_fails_at_once(producer: Celery, client: Client) -> None:
    with pytest.raises(errors.DeadLettered, match=r"unknown task 'gpu\.nonsense'"):
        send(producer, "gpu.nonsense", kwargs={"request": {}})
    assert client.ping().track == client.track


@pytest.mark.parametrize("name", sorted(name for name in Celery("plain").tasks if name.startswith("celery.")))
def test_a_task_of_celerys_own_is_none_of_ours(producer: Celery, client: Client, name: str) -> None:
    with pytest.raises(errors.DeadLettered, match=f"unknown task '{name}'"):
        send(producer, name, kwargs={"task": producer.signature("gpu.ping"), "it": [{}]})
    assert client.ping().track == client.track


@pytest.mark.parametrize("many", [xmap, xstarmap, chunks])
def test_what_would_run_a_task_many_times_is_refused_at_once(producer: Celery, client: Client, many: Any) -> None:
    more = {"n": 1} if many is chunks else {}
    sent = many(producer.signature("gpu.ping"), [{}], app=producer, **more).apply_async(queue=QUEUE)
    with pytest.raises(errors.DeadLettered, match=r"unknown task 'celery\."):
        sent.get(timeout=120)
    assert client.ping().track == client.track


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
@pytest.mark.parametrize("request_", [{}, {"unknown": 1}])
def test_what_celery_would_fail_over_outside_the_task_is_refused(
    producer: Celery, client: Client, connection: redis.Redis, name: str, request_: dict[str, Any]
) -> None:
    sent = changed(message(), body([], {"request": request_}, {name: [None]}), "body")
    connection.lpush(Keys(client.track).queue, raw(sent))
    with pytest.raises(errors.DeadLettered, match=name):
        producer.AsyncResult(sent["headers"]["id"]).get(timeout=120)
    assert client.ping().track == client.track


@pytest.mark.parametrize("job_id", ["a\tb", "x" * 1000, "*", "\u202e\n", "0", " ", "a:b", "ü"])
@pytest.mark.parametrize("options", [{}, {"ignore_result": True}, {"expires": -1}, {"countdown": 60}])
def test_who_sent_what_there_is_not_hears_so_at_once_whatever_its_id(
    producer: Celery, client: Client, job_id: str, options: dict[str, Any]
) -> None:
    producer.send_task("gpu.nonsense", task_id=job_id, **options)
    result = producer.AsyncResult(job_id)
    with pytest.raises(errors.DeadLettered):
        result.get(timeout=120)
    result.forget()
    assert client.ping().track == client.track


def test_a_message_of_celerys_first_protocol_is_answered(producer: Celery, client: Client) -> None:
    producer.conf.task_protocol = 1
    with pytest.raises(errors.DeadLettered):
        send(producer, "gpu.ping", kwargs={"request": {}})
    assert client.ping().track == client.track


def test_a_message_that_is_too_large_is_answered(producer: Celery, client: Client) -> None:
    with pytest.raises(errors.DeadLettered, match="bytes"):
        send(producer, "gpu.ping", kwargs={"request": {}, "more": "x" * MESSAGE_MAX_BYTES})
    assert client.ping().track == client.track


@pytest.mark.parametrize("seed", range(1000, 1004))
def test_spoiled_messages_hold_nobody_up_and_leave_nothing(client: Client, connection: redis.Redis, seed: int) -> None:
    keys = Keys(client.track)
    connection.lpush(keys.queue, *spoiled(seed, 75))
    # It comes after them.
    assert client.ping(timeout_s=300).track == client.track
    wait_for(lambda: not [*connection.scan_iter(keys.taken("*"))], "nothing is in the worker's hands")
    assert not connection.exists(keys.queue)


@pytest.fixture
def connection(stack: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.redis_url) as made:
        yield made


@pytest.fixture
def store(client: Client, connection: redis.Redis) -> BlobStore:
    """Where clients put payloads, without a client's checks."""
    return BlobStore(connection, Keys(client.track))


def test_a_payload_that_is_no_image_is_refused(client: Client, store: BlobStore, producer: Celery) -> None:
    blobs = store.put([b"this is no image"], "file", 60)
    with pytest.raises(errors.InvalidImage):
        send(producer, "gpu.embed.images", kwargs={"request": {"images": [blob.dump() for blob in blobs]}})
    with pytest.raises(errors.InvalidImage):
        client.submit(Ask(prompt="What is this?", images=tuple(blobs))).result()
    assert client.ask("hello", options={"max_tokens": 1}).text


def test_pixels_that_were_prepared_for_another_clip_are_refused(store: BlobStore, producer: Celery) -> None:
    blobs = [blob.dump() for blob in store.put([bytes(224 * 224 * 3)], "pixels", 60)]
    with pytest.raises(errors.InvalidRequest, match="CLIP") as caught:
        send(producer, "gpu.embed.images", kwargs={"request": {"images": blobs, "fingerprint": "another"}})
    assert "fingerprint" in caught.value.details


def test_pixels_of_another_size_are_refused(client: Client, store: BlobStore, producer: Celery) -> None:
    model = client.status().clip.model
    assert model is not None
    blobs = [blob.dump() for blob in store.put([b"too few"], "pixels", 60)]
    with pytest.raises(errors.InvalidRequest):
        send(producer, "gpu.embed.images", kwargs={"request": {"images": blobs, "fingerprint": model.fingerprint}})
    assert client.clip_device() == "cpu"
