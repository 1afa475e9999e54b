"""What the watch over the message in hand takes for lost, and what it leaves alone."""

import json

import pytest
import redis

from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.stall_watch import IN_A_ROW_MAX, LOOKS_MAX, StallListener, StallWatch
from singletrack_worker.gpu.kept_thread import Troubles
from tests.unit.worker.delivery.traffic import in_hand, queued, send, take
from tests.unit.worker.track import KEYS

DONE = json.dumps({"status": "SUCCESS", "result": {}})


class Watched:
    """A watch over an inbox that is looked through by hand."""

    def __init__(self, inbox: Inbox) -> None:
        self.told: list[str] = []
        self.ended = 0
        self.sure = True
        self.trouble = ""
        troubles = Troubles()
        troubles.tell(self._note)
        listener = StallListener(self.told.append, self._end)
        self._watch = StallWatch(inbox, troubles, lambda: self.sure, listener)

    def look(self, times: int) -> None:
        for _ in range(times):
            self._watch.look()

    def _note(self, text: str) -> None:
        self.trouble = text

    def _end(self) -> None:
        self.ended += 1


@pytest.fixture
def watched(inbox: Inbox) -> Watched:
    return Watched(inbox)


def test_what_nobody_runs_goes_back_with_its_start_counted(
    inbox: Inbox, watched: Watched, connection: redis.Redis
) -> None:
    send(connection, "job")
    tag = take(inbox).tag
    watched.look(LOOKS_MAX)
    assert (queued(connection), watched.told) == ([], [])
    watched.look(1)
    assert (queued(connection), watched.told, inbox.ready) == (["job"], ["job"], True)
    assert connection.scard(KEYS.starts("job")) == 1
    assert "job job" in watched.trouble
    # Whoever received it holds a place for it, which it gives up once.
    assert inbox.lost(tag)
    assert not inbox.lost(tag)
    take(inbox)
    inbox.claim("job")
    watched.look(1)
    assert watched.trouble == ""


def test_what_runs_or_is_written_is_left_alone(
    inbox: Inbox, watched: Watched, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(connection, "job")
    take(inbox)
    inbox.claim("job")
    watched.look(3 * LOOKS_MAX)
    inbox.returned("job")
    watched.look(LOOKS_MAX - 1)
    assert inbox.idle is not None
    monkeypatch.setattr(inbox.idle, "writing", True)
    watched.look(3 * LOOKS_MAX)
    assert (queued(connection), watched.told, in_hand(connection)) == ([], [], 1)


def test_without_the_lease_and_at_the_end_nothing_is_put_back(
    inbox: Inbox, watched: Watched, connection: redis.Redis
) -> None:
    send(connection, "job")
    take(inbox)
    watched.sure = False
    watched.look(3 * LOOKS_MAX)
    watched.sure = True
    inbox.give_back()
    watched.look(3 * LOOKS_MAX)
    assert (watched.told, in_hand(connection)) == ([], 1)


def test_what_has_its_result_is_let_go_of_and_does_not_go_back(
    inbox: Inbox, watched: Watched, connection: redis.Redis
) -> None:
    send(connection, "job")
    take(inbox)
    inbox.claim("job")
    inbox.returned("job")
    inbox.finish("job", DONE)
    assert not inbox.ready
    watched.look(LOOKS_MAX + 1)
    assert (inbox.ready, queued(connection)) == (True, [])


def test_a_worker_that_runs_nothing_any_more_ends(inbox: Inbox, watched: Watched, connection: redis.Redis) -> None:
    send(connection, *(f"job-{number}" for number in range(IN_A_ROW_MAX)))
    while not watched.ended:
        # A suspect goes behind the others first.
        if inbox.ready:
            take(inbox)
        watched.look(LOOKS_MAX + 1)
        assert len(watched.told) <= IN_A_ROW_MAX
    assert len(watched.told) == IN_A_ROW_MAX
    assert len(queued(connection)) == IN_A_ROW_MAX
