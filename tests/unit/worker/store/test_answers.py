"""Answers on their way: in pieces that can be put together, and left out where Redis does not take them."""

from typing import Any

import pytest
import redis

from singletrack_tasks.keys import ANSWER_TTL_S
from singletrack_worker.store import answers
from singletrack_worker.store.answers import RedisAnswers
from tests.unit.worker.track import KEYS


class PlainWriter:
    """Writes while it `has_track`; while `broken` it does not reach Redis."""

    def __init__(self, connection: redis.Redis) -> None:
        self.connection = connection
        self.broken = False
        self.refused = 0
        self.has_track = True

    def write(self, *commands: tuple[str | int, ...]) -> bool:
        """Run commands."""
        if self.broken:
            raise redis.ConnectionError("broken off, as it was told to")
        if not self.has_track:
            self.refused += 1
            return False
        for command in commands:
            self.connection.execute_command(*command)  # type: ignore[no-untyped-call] # redis leaves it untyped
        return True


def told(connection: redis.Redis) -> list[tuple[int, str]]:
    """The pieces in the stream, with where each begins."""
    entries: Any = connection.xrange(KEYS.answer("j-1"))
    return [(int(fields[b"at"]), fields[b"text"].decode()) for _, fields in entries]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "GATHER_S", 0.0)


def test_pieces_say_where_they_begin(connection: redis.Redis) -> None:
    sink = RedisAnswers(KEYS, PlainWriter(connection))
    for text in ("Grüß", " ", "Gott"):
        sink.tell("j-1", 1, text)
    assert told(connection) == [(0, "Grüß"), (4, " "), (5, "Gott")]
    ttl_s: Any = connection.ttl(KEYS.answer("j-1"))
    assert 0 < ttl_s <= ANSWER_TTL_S


def test_another_attempt_begins_anew(connection: redis.Redis) -> None:
    sink = RedisAnswers(KEYS, PlainWriter(connection))
    sink.tell("j-1", 1, "half an")
    sink.tell("j-1", 2, "a whole")
    assert told(connection) == [(0, "half an"), (0, "a whole")]


def test_the_same_job_that_is_done_again_begins_anew(connection: redis.Redis) -> None:
    """It was put back meanwhile, or sent again under its id."""
    writer = PlainWriter(connection)
    sink = RedisAnswers(KEYS, writer)
    sink.tell("j-1", 1, "half an")
    sink.flush("j-1")
    sink.tell("j-1", 1, "a whole")
    assert told(connection) == [(0, "half an"), (0, "a whole")]
    writer.broken = True
    sink.tell("j-1", 1, " one")
    writer.broken = False
    sink.flush("j-1")
    sink.tell("j-1", 1, "once more")
    assert told(connection)[2:] == [(0, "once more")]


def test_without_the_track_one_piece_is_tried_and_no_more(connection: redis.Redis) -> None:
    writer = PlainWriter(connection)
    writer.has_track = False
    sink = RedisAnswers(KEYS, writer)
    for text in ("a", "b", "c"):
        sink.tell("j-1", 1, text)
    sink.flush("j-1")
    assert writer.refused == 1


def test_what_comes_fast_is_written_together(connection: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "GATHER_S", 3600.0)
    sink = RedisAnswers(KEYS, PlainWriter(connection))
    for text in ("a", "b", "c"):
        sink.tell("j-1", 1, text)
    sink.flush("j-2")
    gathered = told(connection)
    sink.flush("j-1")
    assert "".join(text for _, text in told(connection)) == "abc"
    assert len(told(connection)) == len(gathered) + 1


def test_after_a_piece_that_redis_does_not_take_no_more_are_tried(
    connection: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    writer = PlainWriter(connection)
    sink = RedisAnswers(KEYS, writer)
    sink.tell("j-1", 1, "one ")
    writer.broken = True
    sink.tell("j-1", 1, "two ")
    writer.broken = False
    sink.tell("j-1", 1, "three")
    sink.flush("j-1")
    assert told(connection) == [(0, "one ")]
    sink.tell("j-1", 2, "once more")
    assert told(connection) == [(0, "one "), (0, "once more")]
    assert "j-1" in caplog.text
    assert "two" not in caplog.text
