"""The lease on a track, between workers of one host and of two, on a real Redis."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from singletrack_tasks.keys import LEASE_TTL_S
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.store.writer import FencedWriter
from singletrack_worker.tenure.host_lock import Holder, HostLock
from singletrack_worker.tenure.lease import Lease
from tests.unit.worker.track import KEYS

Host = Callable[[str], Lease]


@pytest.fixture
def host(connection: redis.Redis, tmp_path: Path) -> Host:
    """Give the lease as a worker on a host of that name sees it, with the host's lock in hand."""
    scripts, locks = Scripts(connection), dict[str, HostLock]()

    def make(name: str) -> Lease:
        if name not in locks:
            locks[name] = HostLock(tmp_path / name)
            assert locks[name].take() is None
        return Lease(connection, KEYS, scripts, locks[name])

    return make


def run_out(connection: redis.Redis) -> None:
    """Let the lease have run out."""
    connection.delete(KEYS.lease)


def test_it_is_taken_for_a_time_and_renewed(host: Host, connection: redis.Redis) -> None:
    lease = host("a")
    assert lease.take() is None
    assert 0 < lease.ttl_ms() <= LEASE_TTL_S * 1000
    connection.pexpire(KEYS.lease, 500)
    assert lease.renew()
    assert lease.ttl_ms() > 500


def test_it_is_dated_by_the_clock_of_redis(
    host: Host, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = host("a")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    before_unix_s = connection.time()[0]
    assert lease.take() is None
    assert lease.info.token == lease.token
    assert before_unix_s <= lease.info.since_unix_s <= connection.time()[0] + 1


def test_another_host_is_told_who_has_it(host: Host) -> None:
    assert host("a").take() is None
    holder = host("b").take()
    assert holder is not None
    assert (holder.host, holder.pid) == (Holder.this_process().host, Holder.this_process().pid)


def test_what_an_earlier_worker_of_this_host_left_is_free_at_once(host: Host) -> None:
    first, second = host("a"), host("a")
    assert first.take() is None
    assert second.take() is None
    assert second.token > first.token
    assert not first.renew()


def test_whoever_renews_is_remembered_as_of_now(host: Host, connection: redis.Redis) -> None:
    lease = host("a")
    lease.take()
    connection.zadd(KEYS.holders, {str(lease.token): 0.0})
    lease.renew()
    score = connection.zscore(KEYS.holders, str(lease.token))
    assert isinstance(score, float)
    assert score > 1e12


def test_a_renewal_that_was_under_way_does_not_bring_back_a_lease_that_was_given_back(
    host: Host, connection: redis.Redis
) -> None:
    lease = host("a")
    lease.take()
    token = lease.token
    lease.release()
    lease.token = token
    assert not lease.renew()
    assert not connection.exists(KEYS.lease)


def test_a_lease_that_ran_out_and_that_nobody_took_goes_on_under_its_token(host: Host, connection: redis.Redis) -> None:
    lease = host("a")
    lease.take()
    token = lease.token
    run_out(connection)
    assert lease.renew()
    assert lease.token == token
    assert host("b").take() is not None


def test_a_lease_that_another_host_took_is_lost(host: Host, connection: redis.Redis) -> None:
    ours, theirs = host("a"), host("b")
    ours.take()
    run_out(connection)
    assert theirs.take() is None
    assert not ours.renew()
    assert ours.token == 0
    ours.release()
    assert theirs.renew()
    theirs.release()
    assert ours.take() is None
    assert ours.token > theirs.token


def test_tokens_grow_whatever_redis_or_the_host_forgets(host: Host, connection: redis.Redis) -> None:
    lease, tokens = host("a"), []
    for fence in (None, b"", 10**15, b""):
        if fence == b"":
            connection.flushall()
        elif fence is not None:
            connection.set(KEYS.fence, fence)
        lease.take()
        tokens.append(lease.token)
        run_out(connection)
    assert tokens == sorted(set(tokens))
    assert tokens[0] >= (time.time() - 3600) * 1000


def test_holders_are_remembered_and_bounded(host: Host, connection: redis.Redis) -> None:
    connection.zadd(KEYS.holders, {f"old-{number}": number for number in range(1500)})
    lease = host("a")
    lease.take()
    assert connection.zcard(KEYS.holders) == 1000
    assert connection.zscore(KEYS.holders, str(lease.token)) is not None
    assert connection.ttl(KEYS.holders) > 0


@pytest.mark.parametrize("value", ["nonsense", "[]", json.dumps({"lock_id": "x"})])
def test_a_lease_that_cannot_be_read_is_somebodys_or_free(host: Host, connection: redis.Redis, value: str) -> None:
    connection.set(KEYS.lease, value, px=1000)
    holder = host("a").take()
    assert holder is None or "unknown" in holder.host


def test_a_writer_writes_all_or_nothing(host: Host, connection: redis.Redis) -> None:
    lease = host("a")
    lease.take()
    writer = FencedWriter(connection, KEYS, Scripts(connection), lambda: lease.token)
    text = json.dumps({"quoted": '"\\u00fc\n', "n": 1.5})
    assert writer.write(("HSET", KEYS.state, "a", text, "b", "1"), ("EXPIRE", KEYS.state, 60))
    kept: Any = connection.hgetall(KEYS.state)
    assert kept == {b"a": text.encode(), b"b": b"1"}
    run_out(connection)
    host("b").take()
    assert not writer.write(("HSET", KEYS.state, "a", "stale"))
    assert connection.hget(KEYS.state, "a") == text.encode()


class TestWhatIsKnownWithoutAsking:
    def test_a_lease_is_held_for_its_time_and_in_doubt_after_it(
        self, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lease, now_s = host("a"), 1000.0
        monkeypatch.setattr("singletrack_worker.tenure.lease._now_s", lambda: now_s)
        assert lease.holds(0) is False
        lease.take()
        now_s += LEASE_TTL_S - 0.1
        assert lease.holds(lease.token) is True
        now_s += 0.2
        assert lease.holds(lease.token) is None
        assert lease.renew()
        assert lease.holds(lease.token) is True

    def test_it_counts_from_before_the_renewal_was_sent(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        lease, now_s = host("a"), 1000.0

        def pause_in_every_request() -> float:
            nonlocal now_s
            now_s += LEASE_TTL_S
            return now_s - LEASE_TTL_S

        monkeypatch.setattr("singletrack_worker.tenure.lease._now_s", pause_in_every_request)
        lease.take()
        assert lease.holds(lease.token) is None
        lease.renew()
        assert lease.holds(lease.token) is None

    def test_a_lease_that_was_lost_or_is_of_another_token_is_not_held(
        self, host: Host, connection: redis.Redis
    ) -> None:
        ours, theirs = host("a"), host("b")
        ours.take()
        token = ours.token
        assert ours.holds(token + 1) is False
        run_out(connection)
        theirs.take()
        assert ours.holds(token) is True, "nobody has told it yet"
        assert not ours.renew()
        assert ours.holds(token) is False
        theirs.release()
        ours.take()
        assert ours.holds(token) is False
        assert ours.holds(ours.token) is True
