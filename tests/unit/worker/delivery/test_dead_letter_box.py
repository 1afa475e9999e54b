"""Messages that are put aside, and what their callers are told, on a real Redis."""

from typing import Any

import redis

from singletrack_tasks import errors
from singletrack_tasks.dead_letter import DeadLetter
from singletrack_tasks.keys import DEAD_MAX, DEAD_TTL_S
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.settings import STARTS_MAX
from tests.unit.worker.delivery.traffic import TakeTrack, in_hand, queued, result, send, take
from tests.unit.worker.messages import message, raw
from tests.unit.worker.track import KEYS


def letters(connection: redis.Redis) -> list[DeadLetter]:
    found: Any = connection.xrange(KEYS.dead)
    return [DeadLetter.model_validate_json(fields[b"letter"]) for _, fields in found]


def test_a_job_that_kills_its_worker_is_tried_three_times(take_track: TakeTrack, connection: redis.Redis) -> None:
    (data,) = send(connection, "killer")
    for token in range(1, STARTS_MAX + 1):
        inbox = take_track(token)
        # Before its last start it is held back once.
        assert (take(inbox) or take(inbox)).job_id == "killer"
        inbox.claim("killer")
    last = take_track(STARTS_MAX + 1)
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


def test_its_caller_is_told_under_an_id_that_nothing_else_shows(inbox: Inbox, connection: redis.Redis) -> None:
    connection.lpush(KEYS.queue, raw(message("gpu.nonsense", job_id="a\x1b[2J")))
    assert take(inbox) is None
    (letter,) = letters(connection)
    assert letter.job_id is None
    assert result(connection, "a\x1b[2J")["result"]["exc_type"] == "DeadLettered"


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
