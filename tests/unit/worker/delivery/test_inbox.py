"""The messages of a track on a real Redis: each on the queue or in one worker's hands, and never in neither."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from singletrack_tasks import errors
from singletrack_tasks.dead_letter import DeadLetter
from singletrack_tasks.keys import DEAD_MAX, DEAD_TTL_S, RESULT_TTL_S, STARTS_TTL_S, Keys
from singletrack_worker.delivery.inbox import STARTS_MAX, Inbox
from singletrack_worker.delivery.scripts import Scripts
from tests.unit.worker.messages import message, raw

KEYS = Keys("unit")
DONE = json.dumps({"status": "SUCCESS", "result": {"n": 1}})
Worker = Callable[[int], Inbox]


@pytest.fixture
def worker(connection: redis.Redis) -> Worker:
    """Give the inbox of a worker that takes the track under a token."""
    scripts = Scripts(connection)

    def make(token: int) -> Inbox:
        connection.set(KEYS.fence, token)
        connection.zadd(KEYS.holders, {str(token): time.time() * 1000})
        inbox = Inbox(KEYS, scripts, host="here", tasks={"gpu.ping"})
        inbox.open(token)
        return inbox

    return make


@pytest.fixture
def inbox(worker: Worker) -> Inbox:
    return worker(1)


def send(connection: redis.Redis, *jobs: str) -> list[bytes]:
    messages = [raw(message(job_id=job)) for job in jobs]
    for data in messages:
        connection.lpush(KEYS.queue, data)
    return messages


def take(inbox: Inbox) -> Any:
    """Take the next message as the transport does."""
    token = inbox.token
    data = inbox.take_now(token)
    assert data is not None
    return inbox.admit(data, token)


def queued(connection: redis.Redis) -> list[str]:
    """The jobs on the queue, the next one first."""
    found: Any = connection.lrange(KEYS.queue, 0, -1)
    return [json.loads(data)["headers"]["id"] for data in reversed(found)]


def in_hand(connection: redis.Redis, token: int = 1) -> int:
    count: Any = connection.llen(KEYS.taken(token))
    return int(count)


def letters(connection: redis.Redis) -> list[DeadLetter]:
    found: Any = connection.xrange(KEYS.dead)
    return [DeadLetter.model_validate_json(fields[b"letter"]) for _, fields in found]


def result(connection: redis.Redis, job: str) -> Any:
    data: Any = connection.get(KEYS.result(job))
    return None if data is None else json.loads(data)


def test_a_message_leaves_with_its_result(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    listener: Any = connection.pubsub()  # type: ignore[no-untyped-call] # redis-py leaves it untyped
    with listener:
        listener.subscribe(KEYS.result("job"))
        listener.get_message(timeout=5)
        envelope = take(inbox)
        assert envelope.job_id == "job"
        assert (queued(connection), in_hand(connection)) == ([], 1)
        assert 0 < connection.ttl(KEYS.starts("job")) <= STARTS_TTL_S
        assert inbox.claim("job")
        inbox.finish("job", DONE)
        inbox.done(envelope.tag)
        assert listener.get_message(timeout=5)["data"].decode() == DONE
    assert inbox.ready
    assert in_hand(connection) == 0
    assert result(connection, "job") == json.loads(DONE)
    assert 0 < connection.ttl(KEYS.result("job")) <= RESULT_TTL_S
    assert not connection.exists(KEYS.starts("job"))


def test_with_one_in_hand_no_other_is_taken(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    take(inbox)
    assert not inbox.ready


def test_only_what_is_in_hand_is_claimed_and_once(inbox: Inbox, connection: redis.Redis) -> None:
    assert not inbox.claim("job")
    send(connection, "job")
    take(inbox)
    assert not inbox.claim("another")
    assert inbox.claim("job")
    assert not inbox.claim("job")


def test_a_message_without_a_result_is_let_go_as_well(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    inbox.done(take(inbox).tag)
    assert in_hand(connection) == 0
    assert not connection.exists(KEYS.starts("job"))
    inbox.done("a tag that nobody has")


def test_a_job_that_has_ended_is_not_run_again(inbox: Inbox, connection: redis.Redis) -> None:
    first, second = send(connection, "job", "job")
    assert first != second
    envelope = take(inbox)
    inbox.finish("job", DONE)
    inbox.done(envelope.tag)
    assert take(inbox) is None
    assert in_hand(connection) == 0
    assert inbox.ready
    assert result(connection, "job") == json.loads(DONE)


@pytest.mark.parametrize("kept", ["no JSON", "[]", json.dumps({"status": "STARTED"})])
def test_a_result_that_is_none_yet_does_not_count(inbox: Inbox, connection: redis.Redis, kept: str) -> None:
    connection.set(KEYS.result("job"), kept)
    send(connection, "job")
    assert take(inbox) is not None
    inbox.finish("job", DONE)
    assert result(connection, "job") == json.loads(DONE)


def test_the_first_result_stays(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    take(inbox)
    connection.set(KEYS.result("job"), json.dumps({"status": "FAILURE"}))
    inbox.finish("job", DONE)
    assert result(connection, "job") == {"status": "FAILURE"}
    assert in_hand(connection) == 0


def test_what_is_put_back_is_next_and_was_not_begun(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "first", "second")
    envelope = take(inbox)
    inbox.put_back(envelope.tag)
    assert queued(connection) == ["first", "second"]
    assert not connection.exists(KEYS.starts("first"))
    assert not inbox.claim("first")
    inbox.put_back(envelope.tag)
    assert queued(connection) == ["first", "second"]


def test_what_runs_stays_in_hand_when_its_connection_goes(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    tag = take(inbox).tag
    inbox.claim("job")
    inbox.put_back_unclaimed(tag)
    assert (queued(connection), in_hand(connection)) == ([], 1)


def test_what_does_not_run_yet_goes_back_when_its_connection_goes(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    inbox.put_back_unclaimed(take(inbox).tag)
    assert queued(connection) == ["job"]
    assert not inbox.claim("job")


def test_what_never_arrived_is_found_and_what_is_in_hand_stays(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "held", "lost", "also lost", "waiting")
    assert take(inbox).job_id == "held"
    inbox.take_now(inbox.token)
    inbox.take_now(inbox.token)
    inbox.recover()
    assert queued(connection) == ["lost", "also lost", "waiting"]
    assert in_hand(connection) == 1


def test_what_never_arrived_still_comes_first(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "lost", "next", "waiting")
    inbox.take_now(1)
    assert take(inbox) is None
    assert queued(connection) == ["lost", "next", "waiting"]
    assert take(inbox).job_id == "lost"


def test_the_next_worker_finds_what_a_dead_one_had(worker: Worker, connection: redis.Redis) -> None:
    dead = worker(1)
    send(connection, "first", "second", "third")
    take(dead)
    dead.take_now(dead.token)
    heir = worker(2)
    assert queued(connection) == ["first", "second", "third"]
    assert take(heir).job_id == "first"
    # What it counted stays: it may be what the other died of.
    assert connection.scard(KEYS.starts("first")) == 2


def test_a_stale_worker_can_neither_begin_nor_finish_nor_take_anything_away(
    worker: Worker, connection: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    stale = worker(1)
    send(connection, "first", "second")
    envelope = take(stale)
    stale.claim("first")
    heir = worker(2)
    assert queued(connection) == ["first", "second"]
    # It takes one more before it knows, and must not keep it.
    assert take(stale) is None
    stale.finish("first", DONE)
    assert result(connection, "first") is None
    assert "refused" in caplog.text
    stale.done(envelope.tag)
    assert sorted(queued(connection)) == ["first", "second"]
    assert {take(heir).job_id} <= {"first", "second"}
    assert in_hand(connection, 2) == 1
    assert in_hand(connection, 1) == 0


def test_what_a_stale_worker_took_late_is_found_by_the_next_sweep(worker: Worker, connection: redis.Redis) -> None:
    stale = worker(1)
    heir = worker(2)
    send(connection, "job")
    stale.take_now(stale.token)
    assert queued(connection) == []
    heir.sweep()
    assert queued(connection) == ["job"]


def test_what_was_taken_under_an_earlier_token_is_not_begun_under_a_later_one(
    worker: Worker, connection: redis.Redis
) -> None:
    inbox = worker(1)
    send(connection, "job")
    data = inbox.take_now(inbox.token)
    assert data is not None
    connection.set(KEYS.fence, 2)
    inbox.open(2)
    assert queued(connection) == ["job"]
    assert inbox.admit(data, 1) is None
    assert not connection.exists(KEYS.starts("job"))
    assert take(inbox).job_id == "job"


def test_a_stale_worker_does_not_take_from_the_hands_of_the_live_one(worker: Worker, connection: redis.Redis) -> None:
    stale, live = worker(1), worker(2)
    send(connection, "job")
    assert take(live).job_id == "job"
    assert stale.sweep() == 0
    assert (queued(connection), in_hand(connection, 2)) == ([], 1)


def test_what_was_asked_for_under_a_token_that_is_over_is_put_back_at_once(
    worker: Worker, connection: redis.Redis
) -> None:
    stale = worker(1)
    send(connection, "job")
    data = stale.take_now(1)
    assert data is not None
    # Its holder is not remembered any more, and it has found out meanwhile.
    connection.zrem(KEYS.holders, "1")
    connection.set(KEYS.fence, 2)
    stale.suspend()
    assert stale.admit(data, 1) is None
    assert queued(connection) == ["job"]


def test_a_start_that_is_told_twice_counts_once(inbox: Inbox, connection: redis.Redis) -> None:
    (data,) = send(connection, "job")
    envelope = take(inbox)
    arguments = [1, data, STARTS_TTL_S, envelope.tag]
    keys = [KEYS.fence, KEYS.taken(1), KEYS.queue, KEYS.result("job"), KEYS.starts("job")]
    assert Scripts(connection).admit(keys=keys, args=arguments) == 1


def test_a_result_that_redis_did_not_take_at_the_end_is_no_failure_of_the_job(
    inbox: Inbox, connection: redis.Redis
) -> None:
    send(connection, "job")
    envelope = take(inbox)
    inbox.claim("job")
    inbox.give_back()
    connection.execute_command("ACL", "SETUSER", "default", "-publish")  # type: ignore[no-untyped-call] # redis-py leaves it untyped
    try:
        with pytest.raises(redis.RedisError):
            inbox.finish("job", DONE)
    finally:
        connection.execute_command("ACL", "SETUSER", "default", "+publish")  # type: ignore[no-untyped-call] # as above
    connection.delete(KEYS.result("job"))
    inbox.finish("job", json.dumps({"status": "FAILURE"}))
    assert result(connection, "job") is None
    inbox.done(envelope.tag)
    assert queued(connection) == ["job"]


def test_a_holder_of_long_ago_is_forgotten(worker: Worker, connection: redis.Redis) -> None:
    connection.zadd(KEYS.holders, {"0": 0.0})
    connection.lpush(KEYS.taken(0), *send(connection, "job"))
    connection.delete(KEYS.queue)
    worker(1)
    assert queued(connection) == ["job"]
    assert connection.zscore(KEYS.holders, "0") is None


def test_without_a_lease_nothing_is_taken(inbox: Inbox, connection: redis.Redis) -> None:
    inbox.suspend()
    assert not inbox.ready
    inbox.recover()
    assert inbox.sweep() == 0


def test_a_job_that_kills_its_worker_is_tried_three_times(worker: Worker, connection: redis.Redis) -> None:
    (data,) = send(connection, "killer")
    for token in range(1, STARTS_MAX + 1):
        inbox = worker(token)
        assert take(inbox).job_id == "killer"
        inbox.claim("killer")
    last = worker(STARTS_MAX + 1)
    assert take(last) is None
    assert (queued(connection), last.ready) == ([], True)
    (letter,) = letters(connection)
    assert (letter.code, letter.job_id, letter.task, letter.starts) == ("worn_out", "killer", "gpu.ping", STARTS_MAX)
    assert letter.raw() == data
    meta = result(connection, "killer")
    assert meta["status"] == "FAILURE"
    assert meta["result"]["exc_type"] == "DeadLettered"
    assert not connection.exists(KEYS.starts("killer"))


def test_what_cannot_be_read_is_put_aside_and_its_caller_told(inbox: Inbox, connection: redis.Redis) -> None:
    bad = message(job_id="job", eta="2030-01-01T00:00:00")
    connection.lpush(KEYS.queue, raw(bad), b"\xff nonsense")
    assert take(inbox) is None
    assert take(inbox) is None
    first, second = letters(connection)
    assert (first.code, first.job_id, first.host) == ("unreadable", "job", "here")
    assert "eta" in first.reason
    assert (second.job_id, second.raw()) == (None, b"\xff nonsense")
    error = result(connection, "job")["result"]
    assert error["exc_module"] == errors.DeadLettered.__module__
    assert error["exc_message"][1] == {"code": "unreadable", "starts": 0}
    assert in_hand(connection) == 0


def test_a_letter_of_half_characters_can_be_written(inbox: Inbox, connection: redis.Redis) -> None:
    connection.lpush(KEYS.queue, raw(message("\ud800" * 5000, job_id="job")))
    assert take(inbox) is None
    (letter,) = letters(connection)
    assert letter.task is not None
    assert len(letter.task) == 1000
    assert letter.job_id == "job"


def test_dead_letters_are_bounded(inbox: Inbox, connection: redis.Redis) -> None:
    pipe = connection.pipeline()
    for number in range(DEAD_MAX + 10):
        pipe.xadd(KEYS.dead, {"letter": str(number)})
    pipe.execute()
    connection.lpush(KEYS.queue, b"x" * 200_000)
    assert take(inbox) is None
    assert connection.xlen(KEYS.dead) == DEAD_MAX
    assert 0 < connection.ttl(KEYS.dead) <= DEAD_TTL_S
    last: Any = connection.xrevrange(KEYS.dead, count=1)
    letter = DeadLetter.model_validate_json(last[0][1][b"letter"])
    assert letter.cut
    assert len(letter.raw()) < 200_000


def test_at_the_end_everything_goes_back(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "held", "lost", "waiting")
    take(inbox)
    inbox.take_now(inbox.token)
    inbox.give_back()
    assert not inbox.claim("held")
    inbox.close()
    inbox.close()
    assert queued(connection) == ["held", "lost", "waiting"]
    assert not inbox.ready


def test_a_result_gets_through_where_memory_is_short(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "first", "second")
    envelope = take(inbox)
    used: Any = connection.info("memory")
    connection.config_set("maxmemory", int(used["used_memory"]) // 2)
    connection.config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(redis.OutOfMemoryError):
            connection.set("anything", "at all")
        inbox.finish("first", DONE)
        inbox.done(envelope.tag)
        assert take(inbox).job_id == "second"
    finally:
        connection.config_set("maxmemory", 0)
    assert result(connection, "first") == json.loads(DONE)
