"""Which job its workers die of, and which was only there: real leases that nobody gives back, on a real Redis."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from singletrack_tasks.keys import DEATHS_MAX
from singletrack_worker.delivery.admission import STARTS_HARD_MAX
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.tenure.host_lock import HostLock
from singletrack_worker.tenure.lease import Lease
from tests.unit.worker.delivery.traffic import in_hand, queued, result, send, take
from tests.unit.worker.track import KEYS

# Gives the inbox of the next worker, after the last one has died of whatever it was.
Successor = Callable[[], Inbox]
DONE = json.dumps({"status": "SUCCESS", "result": {}})


@pytest.fixture
def successor(connection: redis.Redis, tmp_path: Path) -> Successor:
    scripts, lock = Scripts(connection), HostLock(tmp_path / "lock")
    assert lock.take() is None

    def make() -> Inbox:
        lease = Lease(connection, KEYS, scripts, lock)
        assert lease.take() is None
        inbox = Inbox(KEYS, scripts, host="here", tasks={"gpu.ping"})
        inbox.open(lease.token)
        return inbox

    return make


def end(inbox: Inbox, job: str) -> None:
    """Run the next job, which must be that one, to its end."""
    envelope = take(inbox)
    assert envelope.job_id == job
    inbox.finish(job, DONE)
    inbox.done(envelope.tag)


def die_of(successor: Successor, job: str, times: int) -> None:
    for _ in range(times):
        assert take(successor()).job_id == job


def is_buried(connection: redis.Redis, job: str) -> bool:
    return result(connection, job) is not None and result(connection, job)["status"] == "FAILURE"


def test_a_suspect_waits_once_behind_those_that_are_there(successor: Successor, connection: redis.Redis) -> None:
    send(connection, "killer", "second", "third")
    die_of(successor, "killer", 2)
    inbox = successor()
    assert take(inbox) is None
    assert queued(connection) == ["second", "third", "killer"]
    assert connection.hgetall(KEYS.suspects) == {b"killer": b"2"}
    assert inbox.ready
    end(inbox, "second")
    end(inbox, "third")
    assert take(inbox).job_id == "killer"
    inbox = successor()
    assert take(inbox) is None
    assert is_buried(connection, "killer")
    assert connection.hgetall(KEYS.suspects) == {}


def test_it_waits_behind_so_many_and_no_more(
    successor: Successor, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("singletrack_worker.delivery.admission.BEHIND_MAX", 2)
    send(connection, "killer", "second", "third", "fourth")
    die_of(successor, "killer", 2)
    assert take(successor()) is None
    assert queued(connection) == ["second", "third", "killer", "fourth"]


def test_where_nothing_else_waits_it_is_tried_after_a_pause(successor: Successor, connection: redis.Redis) -> None:
    send(connection, "killer")
    die_of(successor, "killer", 2)
    inbox = successor()
    assert take(inbox) is None
    assert (queued(connection), inbox.ready) == (["killer"], False)


def test_a_suspect_that_ends_is_none_any_more(successor: Successor, connection: redis.Redis) -> None:
    send(connection, "innocent", "second")
    die_of(successor, "innocent", 2)
    inbox = successor()
    assert take(inbox) is None
    end(inbox, "second")
    end(inbox, "innocent")
    assert not connection.exists(KEYS.suspects, KEYS.starts("innocent"), KEYS.hands)
    assert in_hand(connection, inbox.token) == 0


def take_or_bury(inbox: Inbox, connection: redis.Redis, job: str) -> int:
    """Take the job, also if it is a suspect; how many starts that was."""
    taken = take(inbox)
    if taken is None and not is_buried(connection, job):
        taken = take(inbox)
    return int(taken is not None)


@pytest.mark.parametrize("others", [0, 1, 3])
def test_each_death_that_it_has_no_part_in_excuses_one_start(
    successor: Successor, connection: redis.Redis, others: int
) -> None:
    send(connection, "suspect")
    die_of(successor, "suspect", 1)
    for _ in range(others):
        # It dies with nothing in hand, since it takes nothing.
        successor()
    starts = 1
    while not is_buried(connection, "suspect"):
        starts += take_or_bury(successor(), connection, "suspect")
    assert starts == 3 + others


def test_no_job_is_started_without_end(successor: Successor, connection: redis.Redis) -> None:
    send(connection, "suspect")
    die_of(successor, "suspect", 1)
    starts = 1
    while not is_buried(connection, "suspect"):
        successor()
        starts += take_or_bury(successor(), connection, "suspect")
    assert starts == STARTS_HARD_MAX


def test_two_that_kill_do_not_excuse_each_other(successor: Successor, connection: redis.Redis) -> None:
    send(connection, "one", "other")
    starts = {"one": 0, "other": 0}
    while not (is_buried(connection, "one") and is_buried(connection, "other")):
        inbox, taken = successor(), None
        while taken is None and queued(connection):
            taken = take(inbox)
        if taken is not None:
            starts[taken.job_id] += 1
    assert starts == {"one": 3, "other": 3}


def test_a_worker_that_gives_its_lease_back_has_not_died(connection: redis.Redis, tmp_path: Path) -> None:
    lock = HostLock(tmp_path / "lock")
    lock.take()
    for _ in range(2):
        lease = Lease(connection, KEYS, Scripts(connection), lock)
        lease.take()
        lease.release()
    assert connection.zcard(KEYS.deaths) == 0


def test_as_many_deaths_are_remembered_as_are_needed(successor: Successor, connection: redis.Redis) -> None:
    for _ in range(DEATHS_MAX + 5):
        successor()
    assert connection.zcard(KEYS.deaths) == DEATHS_MAX
    assert connection.ttl(KEYS.deaths) > 0
