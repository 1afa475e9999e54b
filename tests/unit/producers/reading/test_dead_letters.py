"""Dead letters: listed, shown, sent again and dropped."""

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from singletrack.aio.client import AsyncClient
from singletrack.client import Client
from singletrack_tasks.dead_letter import PAYLOAD_MAX_BYTES, DeadLetter
from singletrack_tasks.errors import (
    BlobMissing,
    DeadLettered,
    InvalidRequest,
    NoWorker,
    QueueFull,
    SingletrackError,
    UnsupportedVersion,
)
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.status import ExecutionMode
from tests.unit.producers.conftest import LONELY_TRACK, TRACK, Backstage
from tests.unit.producers.sample_images import png


def bury(stage: Backstage, raw: bytes, job_id: str | None = None, starts: int = 3) -> str:
    """Write a dead letter, as the worker does; returns its id."""
    letter = DeadLetter.of(
        raw, "worn_out", "begun 3 times", at_unix_s=1.0, host="here", job_id=job_id, task="gpu.ping", starts=starts
    )
    return str(stage.redis.xadd(stage.keys.dead, {"letter": letter.model_dump_json()}).decode())


def taken(stage: Backstage) -> bytes:
    """Take the newest message off the queue."""
    return bytes(stage.redis.lpop(stage.keys.queue))


def fail(stage: Backstage, job_id: str) -> None:
    """Tell the callers of a job that it is dead, as the worker does."""
    error = {"exc_type": "DeadLettered", "exc_message": ["worn out", {}], "exc_module": "singletrack_tasks.errors"}
    meta = json.dumps({"status": "FAILURE", "result": error, "task_id": job_id, "traceback": None, "children": []})
    stage.redis.set(stage.keys.result(job_id), meta, ex=60)
    stage.redis.publish(stage.keys.result(job_id), meta)


def dead_job(client: Client, stage: Backstage, send: Callable[[Client], Any]) -> tuple[str, str]:
    """Let a job die; returns its id, and its letter's."""
    job_id = send(client).id
    letter_id = bury(stage, taken(stage), job_id)
    fail(stage, job_id)
    return job_id, letter_id


def request_in(raw: bytes) -> Any:
    """Read the request in a message."""
    return json.loads(base64.b64decode(json.loads(raw)["body"]))[1]["request"]


def altered(raw: bytes, **changes: Any) -> bytes:
    """Change the headers of a message."""
    message = json.loads(raw)
    message["headers"] |= changes
    return json.dumps(message).encode()


def asking(raw: bytes, request: Any) -> bytes:
    """Put another request into a message."""
    body = base64.b64encode(json.dumps([[], {"request": request}, {}]).encode()).decode()
    return json.dumps(json.loads(raw) | {"body": body}).encode()


def test_letters_are_listed_oldest_first_and_those_of_another_release_skipped(
    lonely: Client, lonely_backstage: Backstage, caplog: pytest.LogCaptureFixture
) -> None:
    assert lonely.dead_letters() == []
    stage = lonely_backstage
    first = bury(stage, b"one", "a")
    for foreign in ({"letter": '{"version": 2}'}, {"letter": "no json"}, {"other": "field"}):
        stage.redis.xadd(stage.keys.dead, foreign)
    second = bury(stage, b"two")
    with caplog.at_level(logging.WARNING):
        letters = lonely.dead_letters()
    assert [(letter_id, letter.raw(), letter.job_id) for letter_id, letter in letters] == [
        (first, b"one", "a"),
        (second, b"two", None),
    ]
    assert caplog.text.count("skipped the dead letter") == 3


def test_more_letters_than_are_read_at_once_are_all_listed(lonely: Client, lonely_backstage: Backstage) -> None:
    ids = [bury(lonely_backstage, b"x") for _ in range(205)]
    assert [letter_id for letter_id, _ in lonely.dead_letters()] == ids


def test_a_letter_is_found_by_its_id_or_as_the_newest_of_its_job(lonely: Client, lonely_backstage: Backstage) -> None:
    first, second = (bury(lonely_backstage, raw, "job.1") for raw in (b"one", b"two"))
    bury(lonely_backstage, b"three", "1-1")
    assert lonely.dead_letter(first)[1].raw() == b"one"
    assert lonely.dead_letter("job.1")[0] == second
    assert lonely.dead_letter("1-1")[1].raw() == b"three"
    with pytest.raises(InvalidRequest, match=r"'job.2'.*singletrack dead list"):
        lonely.dead_letter("job.2")


def test_a_letter_that_is_retried_runs_and_goes(client: Client, backstage: Backstage, redis_url: str) -> None:
    with Client(redis_url, LONELY_TRACK) as other:
        job_id = other.submit_mode("RECORDING").id
        lonely_backstage = Backstage(redis_url, LONELY_TRACK)
        letter_id = bury(backstage, taken(lonely_backstage), job_id)
        lonely_backstage.redis.close()
    fail(backstage, job_id)
    job = client.retry_dead(job_id, timeout_s=20)
    assert job.id == job_id
    assert job.result().after is ExecutionMode.RECORDING
    assert letter_id not in dict(client.dead_letters())


def test_a_retry_makes_the_worker_forget_the_job_and_gives_it_a_new_deadline(
    lonely: Client, lonely_backstage: Backstage
) -> None:
    stage, keys = lonely_backstage, lonely_backstage.keys
    job_id, _ = dead_job(lonely, stage, lambda c: c.submit(Ping(), timeout_s=1))
    stage.redis.set(keys.starts(job_id), 3, ex=60)
    stage.redis.set(keys.cancel(job_id), 1, ex=60)
    before_unix_s = lonely._link.now_unix_s()
    lonely.retry_dead(job_id, timeout_s=1000)
    assert not stage.redis.exists(keys.result(job_id), keys.starts(job_id), keys.cancel(job_id))
    assert lonely.dead_letters() == []
    sent = taken(stage)
    assert json.loads(sent)["headers"]["id"] == job_id
    assert request_in(sent)["deadline_unix_s"] >= before_unix_s + 1000


def test_what_was_told_of_a_job_before_its_retry_is_not_its_result(lonely: Client, lonely_backstage: Backstage) -> None:
    """A client listens for a job as long as it holds it: what is told of its death lies in wait."""
    job = lonely.submit(Ping(), timeout_s=60)
    bury(lonely_backstage, taken(lonely_backstage), job.id)
    fail(lonely_backstage, job.id)
    with pytest.raises(NoWorker):
        lonely.retry_dead(job.id).result()


def test_a_job_that_died_tells_its_caller(lonely: Client, lonely_backstage: Backstage) -> None:
    job = lonely.submit(Ping(), timeout_s=60)
    fail(lonely_backstage, job.id)
    with pytest.raises(DeadLettered, match="worn out"):
        job.result()


CUT = b'{"body": "' + b"a" * PAYLOAD_MAX_BYTES
BROKEN: dict[str, tuple[type[SingletrackError], str, Callable[[bytes], bytes]]] = {
    "cut": (InvalidRequest, "too long to be kept", lambda raw: CUT),
    "no JSON": (InvalidRequest, "cannot be read", lambda raw: b"\xff\x00"),
    "no object": (InvalidRequest, "cannot be read", lambda raw: b"[]"),
    "deep": (InvalidRequest, "cannot be read", lambda raw: b"[" * 60_000),
    "no body": (InvalidRequest, "cannot be read", lambda raw: b'{"headers": {}}'),
    "odd properties": (InvalidRequest, "cannot be read", lambda raw: b'{"body": "", "properties": 1}'),
    "unknown task": (InvalidRequest, "'os.system' is not a task", lambda raw: altered(raw, task="os.system")),
    "a job id that is none": (InvalidRequest, "job_id", lambda raw: altered(raw, id="a:b")),
    "no job id": (InvalidRequest, "job_id", lambda raw: altered(raw, id=None)),
    "another request": (InvalidRequest, "prompt", lambda raw: asking(raw, {"prompt": "what?"})),
    "a later version": (UnsupportedVersion, "same release", lambda raw: asking(raw, {"version": 2})),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_letter_without_a_whole_request_says_why_and_stays(
    lonely: Client, lonely_backstage: Backstage, case: str
) -> None:
    error, words, breaking = BROKEN[case]
    stage = lonely_backstage
    job_id = lonely.submit(Ping()).id
    letter_id = bury(stage, breaking(taken(stage)), job_id)
    fail(stage, job_id)
    with pytest.raises(SingletrackError, match=words) as caught:
        lonely.retry_dead(letter_id)
    assert type(caught.value) is error
    assert stage.redis.exists(stage.keys.result(job_id))
    assert [found for found, _ in lonely.dead_letters()] == [letter_id]
    assert stage.redis.llen(stage.keys.queue) == 0


def test_a_request_without_a_name_is_read_as_well(lonely: Client, lonely_backstage: Backstage) -> None:
    raw = json.loads(asking(_ping(lonely, lonely_backstage), None)) | {"body": '[[{"version": 1}], {}, {}]'}
    raw["properties"]["body_encoding"] = None
    letter_id = bury(lonely_backstage, json.dumps(raw).encode())
    lonely.retry_dead(letter_id)
    assert request_in(taken(lonely_backstage))["version"] == 1


def _ping(client: Client, stage: Backstage) -> bytes:
    client.submit(Ping())
    return taken(stage)


def test_a_letter_stays_where_the_queue_is_full(lonely: Client, lonely_backstage: Backstage) -> None:
    stage = lonely_backstage
    _, letter_id = dead_job(lonely, stage, lambda c: c.submit(Ping()))
    stage.redis.hset(stage.keys.limits, "queue_max", 0)
    with pytest.raises(QueueFull):
        lonely.retry_dead(letter_id)
    assert [found for found, _ in lonely.dead_letters()] == [letter_id]


def test_the_images_of_a_retried_question_are_kept_as_long_as_it_may_wait(
    lonely: Client, lonely_backstage: Backstage
) -> None:
    stage, image = lonely_backstage, png((1, 9, 1))
    _, letter_id = dead_job(lonely, stage, lambda c: c.submit_ask("what?", [image], timeout_s=5))
    lonely.retry_dead(letter_id, timeout_s=10_000)
    assert stage.redis.ttl(stage.keys.blob(Blob.of(image, "file").sha256)) > 10_000


def test_a_question_whose_images_are_gone_is_not_sent_again(lonely: Client, lonely_backstage: Backstage) -> None:
    stage, image = lonely_backstage, png((1, 9, 2))
    job_id, letter_id = dead_job(lonely, stage, lambda c: c.submit_ask("what?", [image], timeout_s=5))
    counted = stage.redis.zcard(stage.keys.payloads)
    stage.redis.delete(stage.keys.blob(Blob.of(image, "file").sha256))
    with pytest.raises(BlobMissing, match="no longer in Redis"):
        lonely.retry_dead(letter_id)
    assert [found for found, _ in lonely.dead_letters()] == [letter_id]
    assert stage.redis.exists(stage.keys.result(job_id))
    assert stage.redis.zcard(stage.keys.payloads) == counted


def test_letters_are_dropped_one_by_one_or_all(lonely: Client, lonely_backstage: Backstage) -> None:
    stage = lonely_backstage
    unread = stage.redis.xadd(stage.keys.dead, {"letter": "no json"}).decode()
    first, second = bury(stage, b"one", "a"), bury(stage, b"two", "a")
    lonely.drop_dead("a")
    lonely.drop_dead(unread)
    assert [found for found, _ in lonely.dead_letters()] == [first]
    with pytest.raises(InvalidRequest, match="dead list"):
        lonely.drop_dead(second)
    assert (lonely.drop_all_dead(), lonely.drop_all_dead()) == (1, 0)


def test_a_job_id_is_the_callers_and_both_who_use_it_get_the_result(client: Client) -> None:
    first = client.submit_ask("hello", timeout_s=20, job_id="question-1.a_B")
    second = client.submit_ask("hello", timeout_s=20, job_id="question-1.a_B")
    assert first.id == second.id == "question-1.a_B"
    assert first.result().text == second.result().text == "hello"


def test_the_names_are_those_of_the_async_client(served: str, backstage: Backstage, redis_url: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client, AsyncClient(redis_url, LONELY_TRACK) as lonely:
            job = await lonely.submit_mode("IDLE", job_id="from-afar")
            await lonely.submit(Ping(), job_id="ping")
            assert (await lonely.submit_ask("hello", job_id="ask")).id == "ask"
            assert job.id == "from-afar"
            lonely_stage = Backstage(redis_url, LONELY_TRACK)
            raw = lonely_stage.redis.lindex(lonely_stage.keys.queue, 2)
            lonely_stage.redis.delete(lonely_stage.keys.queue)
            lonely_stage.redis.close()
            letter_id = bury(backstage, raw, "from-afar")
            assert (await client.dead_letter("from-afar"))[0] == letter_id
            again = await client.retry_dead(letter_id, timeout_s=20)
            assert (await again.result()).after is ExecutionMode.IDLE
            assert await client.dead_letters() == []
            await client.drop_dead(bury(backstage, b""))
            bury(backstage, b"")
            assert await client.drop_all_dead() == 1

    asyncio.run(asyncio.wait_for(work(), 60))
