"""The messages of a track on a real Redis: each on the queue or in one worker's hands, and never in neither."""

import json
from typing import Any

import pytest
import redis

from singletrack_tasks.keys import RESULT_TTL_S, STARTS_TTL_S
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from tests.unit.worker.delivery.traffic import TakeTrack, in_hand, queued, result, send, take
from tests.unit.worker.track import KEYS

DONE = json.dumps({"status": "SUCCESS", "result": {"n": 1}})


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


def test_what_was_taken_under_a_lease_that_is_lost_is_not_claimed(inbox: Inbox, connection: redis.Redis) -> None:
    send(connection, "job")
    take(inbox)
    inbox.suspend()
    assert not inbox.claim("job")
    inbox.open(2)
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


@pytest.mark.parametrize(("ending", "starts"), [(True, 0), (False, 1)])
def test_what_is_put_back_is_next_and_was_not_begun_if_the_worker_ends(
    inbox: Inbox, connection: redis.Redis, ending: bool, starts: int
) -> None:
    send(connection, "first", "second")
    envelope = take(inbox)
    if ending:
        inbox.give_back()
    inbox.put_back(envelope.tag)
    assert queued(connection) == ["first", "second"]
    assert connection.scard(KEYS.starts("first")) == starts
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
    assert connection.scard(KEYS.starts("job")) == 1
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


def test_the_next_worker_finds_what_a_dead_one_had(take_track: TakeTrack, connection: redis.Redis) -> None:
    dead = take_track(1)
    send(connection, "first", "second", "third")
    take(dead)
    dead.take_now(dead.token)
    heir = take_track(2)
    assert queued(connection) == ["first", "second", "third"]
    assert take(heir).job_id == "first"
    # What it counted stays: it may be what the other died of.
    assert connection.scard(KEYS.starts("first")) == 2


def test_a_stale_worker_can_neither_begin_nor_finish_nor_take_anything_away(
    take_track: TakeTrack, connection: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    stale = take_track(1)
    send(connection, "first", "second")
    envelope = take(stale)
    stale.claim("first")
    heir = take_track(2)
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


def test_what_a_stale_worker_took_late_is_found_by_the_next_sweep(
    take_track: TakeTrack, connection: redis.Redis
) -> None:
    stale = take_track(1)
    heir = take_track(2)
    send(connection, "job")
    stale.take_now(stale.token)
    assert queued(connection) == []
    heir.sweep()
    assert queued(connection) == ["job"]


def test_what_was_taken_under_an_earlier_token_is_not_begun_under_a_later_one(
    take_track: TakeTrack, connection: redis.Redis
) -> None:
    inbox = take_track(1)
    send(connection, "job")
    data = inbox.take_now(inbox.token)
    assert data is not None
    connection.set(KEYS.fence, 2)
    inbox.open(2)
    assert queued(connection) == ["job"]
    assert inbox.admit(data, 1) is None
    assert not connection.exists(KEYS.starts("job"))
    assert take(inbox).job_id == "job"


def test_a_stale_worker_does_not_take_from_the_hands_of_the_live_one(
    take_track: TakeTrack, connection: redis.Redis
) -> None:
    stale, live = take_track(1), take_track(2)
    send(connection, "job")
    assert take(live).job_id == "job"
    assert stale.sweep() == 0
    assert (queued(connection), in_hand(connection, 2)) == ([], 1)


def test_what_was_asked_for_under_a_token_that_is_over_is_put_back_at_once(
    take_track: TakeTrack, connection: redis.Redis
) -> None:
    stale = take_track(1)
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
    arguments = [1, data, STARTS_TTL_S, envelope.tag, "job", 3, 10, 100, KEYS.starts("")]
    keys = [KEYS.fence, KEYS.taken(1), KEYS.queue, KEYS.result("job"), KEYS.starts("job")]
    keys += [KEYS.hands, KEYS.deaths, KEYS.suspects, KEYS.condemned]
    assert Scripts(connection).admit(keys=keys, args=arguments) == [b"run", 1, b""]
    assert connection.scard(KEYS.starts("job")) == 1


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


def test_a_holder_of_long_ago_is_forgotten(take_track: TakeTrack, connection: redis.Redis) -> None:
    connection.zadd(KEYS.holders, {"0": 0.0})
    connection.lpush(KEYS.taken(0), *send(connection, "job"))
    connection.delete(KEYS.queue)
    take_track(1)
    assert queued(connection) == ["job"]
    assert connection.zscore(KEYS.holders, "0") is None


def test_without_a_lease_nothing_is_taken(inbox: Inbox, connection: redis.Redis) -> None:
    inbox.suspend()
    assert not inbox.ready
    inbox.recover()
    assert inbox.sweep() == 0


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
