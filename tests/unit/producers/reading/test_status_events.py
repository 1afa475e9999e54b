"""Status and events: read without the GPU, and without trust in what lies there."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from singletrack.client import Client
from singletrack_tasks.errors import DeadlinePassed, EventsLost, NoWorker, UnsupportedVersion, WorkerFailure
from singletrack_tasks.events import Event, ModeChanged, WorkerStarted
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.status import ExecutionMode
from tests.unit.producers.conftest import TRACK, Backstage, wait_until
from tests.unit.producers.statuses import publish
from tests.unit.producers.statuses import status as published


def _emit(stage: Backstage, event: Event | str) -> str:
    text = event if isinstance(event, str) else event.model_dump_json()
    return str(stage.redis.xadd(stage.keys.events, {"event": text}, maxlen=100).decode())


def _started(pid: int) -> WorkerStarted:
    return WorkerStarted(at_unix_s=1.0, host="here", pid=pid)


def test_a_status_comes_with_the_length_of_the_queue(client: Client, backstage: Backstage) -> None:
    running = client.submit_ask("wait", timeout_s=60)
    wait_until(lambda: running.state == "running")
    waiting = [client.submit(Ping(), timeout_s=60) for _ in range(5)]
    wait_until(lambda: client.status().queue_length == backstage.redis.llen(backstage.keys.queue))
    status = client.status()
    assert status.track == TRACK
    assert status.queue_length is not None
    assert status.queue_length >= 3
    running.cancel()
    for job in waiting:
        job.result()


def test_a_status_names_what_waits_next(lonely: Client, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, published())
    lonely.submit_mode(ExecutionMode.RECORDING)
    for _ in range(7):
        lonely.submit(Ping())
    queue = lonely.status().queue
    assert queue is not None
    assert (queue.length, queue.next_up) == (8, ("mode RECORDING", "ping", "ping", "ping", "ping"))


def test_a_status_of_a_worker_that_is_gone_must_be_asked_for(
    lonely: Client, lonely_backstage: Backstage, backstage: Backstage
) -> None:
    with pytest.raises(NoWorker, match="never been seen"):
        lonely.status(stale=True)
    status = json.loads(backstage.redis.get(backstage.keys.status))
    status["taken_unix_s"] -= 60
    lonely_backstage.redis.set(lonely_backstage.keys.status, json.dumps(status), ex=60)
    with pytest.raises(NoWorker, match=r"last seen 6\d s ago"):
        lonely.status()
    assert lonely.status(stale=True).taken_unix_s == status["taken_unix_s"]


def test_a_status_from_the_future_is_from_before_the_clock_was_set_back(
    lonely: Client, lonely_backstage: Backstage
) -> None:
    seconds, _ = lonely_backstage.redis.time()
    publish(lonely_backstage, published(taken_unix_s=seconds + 3600.0))
    with pytest.raises(NoWorker, match="before the clock of Redis was set back"):
        lonely.status()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"version": 2}, UnsupportedVersion),
        ({"surprise": 1}, WorkerFailure),
        ({"mode": "TURBO"}, WorkerFailure),
    ],
)
def test_a_status_that_cannot_be_read_says_so(
    lonely: Client,
    lonely_backstage: Backstage,
    backstage: Backstage,
    change: dict[str, object],
    error: type[Exception],
) -> None:
    status = json.loads(backstage.redis.get(backstage.keys.status)) | change
    lonely_backstage.redis.set(lonely_backstage.keys.status, json.dumps(status), ex=60)
    with pytest.raises(error, match="same release"):
        lonely.status()


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"taken_unix_s": null}'])
def test_a_damaged_status_says_so(lonely: Client, lonely_backstage: Backstage, text: str) -> None:
    lonely_backstage.redis.set(lonely_backstage.keys.status, text, ex=60)
    with pytest.raises(WorkerFailure, match="damaged"):
        lonely.status()


def test_events_come_in_order_and_after_an_id(lonely: Client, lonely_backstage: Backstage) -> None:
    assert list(lonely.events()) == []
    changed = ModeChanged(at_unix_s=2.0, before=ExecutionMode.IDLE, after=ExecutionMode.RECORDING)
    first = _emit(lonely_backstage, _started(1))
    second = _emit(lonely_backstage, changed)
    assert list(lonely.events()) == [(first, _started(1)), (second, changed)]
    assert list(lonely.events(since=first)) == [(second, changed)]
    assert list(lonely.events(since="$")) == []


def test_going_on_from_the_last_event_misses_none(lonely: Client, lonely_backstage: Backstage) -> None:
    ids = [_emit(lonely_backstage, _started(number)) for number in range(5)]
    seen: list[str] = []
    since: str | None = None
    for _ in range(5):
        since, _event = next(iter(lonely.events(since)))
        seen.append(since)
        ids.append(_emit(lonely_backstage, _started(9)))
    assert seen + [entry_id for entry_id, _ in lonely.events(since)] == ids


def test_events_that_were_trimmed_away_are_not_passed_over_in_silence(
    lonely: Client, lonely_backstage: Backstage
) -> None:
    ids = [_emit(lonely_backstage, _started(number)) for number in range(10)]
    lonely_backstage.redis.xtrim(lonely_backstage.keys.events, maxlen=4, approximate=False)
    assert [entry_id for entry_id, _ in lonely.events(ids[6])] == ids[7:]
    for follow in (False, True):
        with pytest.raises(EventsLost, match="Leave `since` out") as lost:
            next(iter(lonely.events(ids[2], follow=follow, timeout_s=5)))
        assert lost.value.details == {"since": ids[2], "oldest": ids[6]}
    assert [entry_id for entry_id, _ in lonely.events()] == ids[6:]
    assert [entry_id for entry_id, _ in lonely.events("0")] == ids[6:]


def test_events_that_are_not_known_are_skipped_with_a_warning(
    lonely: Client, lonely_backstage: Backstage, caplog: pytest.LogCaptureFixture
) -> None:
    _emit(lonely_backstage, '{"kind": "from_the_future", "at_unix_s": 1}')
    _emit(lonely_backstage, "no json")
    lonely_backstage.redis.xadd(lonely_backstage.keys.events, {"other": "field"})
    known = _emit(lonely_backstage, _started(2))
    with caplog.at_level(logging.WARNING):
        assert [entry_id for entry_id, _ in lonely.events()] == [known]
    assert caplog.text.count("skipped the event") == 3


def test_following_sees_what_comes(lonely: Client, lonely_backstage: Backstage) -> None:
    _emit(lonely_backstage, _started(1))
    followed = lonely.events(since="$", follow=True, timeout_s=20)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, followed)
        wait_until(lambda: _blocked(lonely_backstage))
        second = _emit(lonely_backstage, _started(2))
        assert coming.result(20) == (second, _started(2))


def test_following_ends_when_its_time_is_up(lonely: Client, lonely_backstage: Backstage) -> None:
    first = _emit(lonely_backstage, _started(1))
    assert [entry_id for entry_id, _ in lonely.events(follow=True, timeout_s=0.3)] == [first]


def test_following_for_no_time_at_all_tells_what_there_is(lonely: Client, lonely_backstage: Backstage) -> None:
    first = _emit(lonely_backstage, _started(1))
    assert [entry_id for entry_id, _ in lonely.events(follow=True, timeout_s=1e-9)] == [first]


def _blocked(stage: Backstage) -> bool:
    return any(client["cmd"] == "xread" for client in stage.redis.client_list())


def test_whoever_waits_leaves_the_queue_alone(lonely: Client, lonely_backstage: Backstage) -> None:
    """A look at the queue is work for Redis, and waiting looks every second."""

    def surveys() -> int:
        counted = lonely_backstage.redis.info("commandstats").get("cmdstat_eval", {"calls": 0})
        return int(counted["calls"])

    publish(lonely_backstage, published())
    job = lonely.submit(Ping(), timeout_s=60)
    before = surveys()
    with pytest.raises(DeadlinePassed):
        job.result(timeout_s=0.2)
    assert surveys() == before
    lonely.status()
    assert surveys() == before + 1
