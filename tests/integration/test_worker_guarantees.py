"""One at a time, and nothing lost: real workers that are killed, paused, doubled and told to end, at exact moments."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from singletrack import Client, Job
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import start_worker
from singletrack_tasks import errors
from singletrack_tasks.keys import Keys
from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode
from tests.faults.malformed import by_chance
from tests.integration.gate import ASK, Gate
from tests.integration.ops.waiting import runs, wait_for
from tests.integration.worker_tools import (
    ENDLESS,
    in_flight,
    is_written,
    reason_codes,
    submit_endless,
    tasks_in_log,
    wait_until_quiet,
    worker_environ,
)
from tests.unit.worker.messages import message, raw

pytestmark = [
    pytest.mark.ollama,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as POSIX has them"),
]

TRACK = "guarded"
KEYS = Keys(TRACK)
EX_HELD, EX_HOPELESS = 75, 70
# How long a worker may take to start, and so to find out that it may not.
START_S = 120.0


class Place:
    """A track whose workers come and go; a worker of another host has another folder for its locks."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._workers: list[Child] = []
        self.url = environ["SINGLETRACK_REDIS_URL"]
        self.client = Client(self.url, TRACK, worker_grace_s=30)
        self.redis: Any = redis.Redis.from_url(self.url)

    def worker(self, host: str = "here", **settings: object) -> Child:
        """Start a worker and wait until it serves."""
        self._workers.append(start_worker(self._home(host), self.environ(host, **settings), self.client))
        return self._workers[-1]

    def process(self, host: str = "here", **settings: object) -> Child:
        """Start a worker that may not come to serve."""
        home = self._home(host)
        argv = [sys.executable, "-m", "celery", "-A", "singletrack_worker", "worker", "--loglevel=INFO"]
        log = home / "other.log"
        self._workers.append(Child.start("other", argv, env=self.environ(host, **settings), cwd=home, log_path=log))
        return self._workers[-1]

    def environ(self, host: str, **settings: object) -> dict[str, str]:
        given = {f"SINGLETRACK_{name.upper()}": str(value) for name, value in settings.items()}
        return self._environ | {"SINGLETRACK_LOCK_DIR": str(self._folder / f"locks-{host}")} | given

    def lock(self, host: str = "here") -> Path:
        (lock,) = (self._folder / f"locks-{host}").glob("*.lock")
        return lock

    def close(self) -> None:
        self.client.close()
        self.redis.close()
        for worker in self._workers:
            if worker.alive:
                psutil.Process(worker.pid).resume()
            worker.stop(1)

    def _home(self, host: str) -> Path:
        home = self._folder / host
        home.mkdir(exist_ok=True)
        return home


Places = Callable[..., Place]


@pytest.fixture
def places(tmp_path: Path, redis_url: str, ollama: EmbeddedOllama) -> Iterator[Places]:
    made: list[Place] = []

    def make(url: str = redis_url) -> Place:
        environ = worker_environ(
            url, TRACK, ollama, clip_weights="local-dir:/nowhere", gpu="none", retry_pause_s=0.05, grace_s=30
        )
        made.append(Place(tmp_path, environ))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture
def place(places: Places) -> Place:
    """A track that nothing is left of by earlier tests."""
    made = places()
    for name in made.redis.scan_iter(f"{KEYS.prefix}*", count=1000):
        made.redis.delete(name)
    return made


def kill(worker: Child) -> None:
    psutil.Process(worker.pid).kill()
    assert worker.wait(60) == -signal.SIGKILL


def send(place: Place, *messages: dict[str, Any]) -> None:
    for sent in messages:
        place.redis.lpush(KEYS.queue, raw(sent))


def starts(place: Place, job_id: str) -> int:
    return int(place.redis.scard(KEYS.starts(job_id)))


def waits_for_work(place: Place, worker: Child) -> bool:
    """Whether Redis holds a request of this very worker; the shared worker, for one, waits at the same server."""
    own = {connection.laddr.port for connection in psutil.Process(worker.pid).net_connections("tcp")}
    return any(
        "b" in peer["flags"] and int(peer["addr"].rpartition(":")[2]) in own for peer in place.redis.client_list()
    )


def pause_with_a_message_on_its_way(place: Place, worker: Child) -> Job[PingResult]:
    """Pause a worker such that Redis has handed it a job that it has not read."""
    process = psutil.Process(worker.pid)
    for _ in range(20):
        # It asks for a second at a time: it may just have had its answer.
        wait_for(lambda: waits_for_work(place, worker), "the worker waits for work")
        process.suspend()
        job = place.client.submit(Ping())
        if place.redis.llen(KEYS.queue) == 0:
            return job
        process.resume()
        job.result()
    raise AssertionError("the worker was never waiting when it was paused")


def left_in_hand(place: Place) -> list[bytes]:
    return list(place.redis.scan_iter(f"{KEYS.taken('')}*"))


class TestOneAtATime:
    def test_a_second_worker_on_the_host_ends_and_names_the_first(self, place: Place) -> None:
        first = place.worker()
        second = place.process()
        assert second.wait(START_S) == EX_HELD
        said = second.log_tail(200)
        assert f"process {first.pid} on" in said
        assert "SINGLETRACK_STANDBY=1" in said
        assert "Traceback" not in said
        place.client.ping()

    def test_a_paused_worker_still_has_its_gpu(self, place: Place) -> None:
        first = place.worker()
        psutil.Process(first.pid).suspend()
        place.redis.delete(KEYS.lease)
        assert place.process().wait(START_S) == EX_HELD
        psutil.Process(first.pid).resume()
        place.client.ping()

    def test_a_worker_of_another_host_ends_as_well(self, place: Place) -> None:
        first = place.worker()
        second = place.process("there")
        assert second.wait(START_S) == EX_HELD
        assert f"process {first.pid} on" in second.log_tail(200)

    @pytest.mark.parametrize("host", ["here", "there"])
    def test_a_standby_takes_over_and_goes_on_with_what_ran(self, place: Place, host: str) -> None:
        first = place.worker()
        place.client.set_mode("IDLE")
        standby = place.process(host, standby=1)
        job = submit_endless(place.client)
        wait_for(lambda: "stands by" in standby.log_tail(200) or host == "there", "the other stands by", START_S)
        kill(first)
        wait_for(lambda: starts(place, job.id) == 2 and in_flight(place.client) == job.id, "it runs there", START_S)
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()

    def test_a_standby_can_be_told_to_end(self, place: Place) -> None:
        place.worker()
        standby = place.process(standby=1)
        wait_for(lambda: "stands by" in standby.log_tail(200), "it stands by", START_S)
        standby.ask_to_end()
        assert standby.wait(START_S) == 0

    def test_a_worker_that_was_overtaken_writes_nothing_and_waits_for_its_turn(self, place: Place) -> None:
        first = place.worker()
        psutil.Process(first.pid).suspend()
        # It is told of this only when it wakes.
        place.redis.delete(KEYS.lease)
        second = place.worker("there")
        place.client.set_mode(ExecutionMode.AUTOPILOT)
        token = place.redis.get(KEYS.fence)
        psutil.Process(first.pid).resume()
        wait_for(lambda: "another worker has taken the track" in first.log_path.read_text(), "it finds out")
        jobs = [place.client.submit(Ping()) for _ in range(20)]
        assert [job.result().track for job in jobs] == [TRACK] * 20
        assert place.client.status().worker.pid == second.pid
        assert place.redis.get(KEYS.fence) == token
        second.ask_to_end()
        assert second.wait(START_S) == 0
        place.client.ping()
        status = place.client.status()
        assert (status.worker.pid, status.mode) == (first.pid, ExecutionMode.AUTOPILOT)
        assert int(place.redis.get(KEYS.fence)) > int(token)

    def test_a_worker_that_was_overtaken_in_an_operation_makes_no_more_requests_for_it(
        self, place: Place, ollama: EmbeddedOllama
    ) -> None:
        with Gate(ollama.url) as gate:
            first = place.worker(ollama_url=gate.url)
            place.client.set_mode("IDLE")
            place.client.ensure_vlm_unloaded()
            gate.opened.clear()
            gate.loading.clear()
            job = place.client.submit_ask("list everything", schema=ENDLESS, timeout_s=300)
            assert gate.loading.wait(START_S)
            psutil.Process(first.pid).suspend()
            gate.opened.set()
            # The lease runs out, and the other one takes it.
            second = place.worker("there")
            wait_for(lambda: is_written(place.client, job.id), "the other answers", START_S)
            psutil.Process(first.pid).resume()
            wait_for(lambda: f"job {job.id} is left to" in first.log_path.read_text(), "it is broken off")
            assert is_written(place.client, job.id)
            job.cancel()
            with pytest.raises(errors.JobCancelled):
                job.result()
            second.ask_to_end()
            assert second.wait(START_S) == 0
            place.client.ping()
            assert place.client.status().worker.pid == first.pid
            assert ASK not in gate.requests
            assert tasks_in_log(first.log_path, "gpu.vlm.ask", "raised") == []


class TestTheLock:
    @pytest.mark.skipif(sys.platform != "linux", reason="no other system limits a process from outside")
    def test_a_worker_that_cannot_write_its_lock_says_so_and_leaves_its_place_to_another(self, place: Place) -> None:
        first = place.worker()
        standby = place.process(standby=1)
        wait_for(lambda: "stands by" in standby.log_tail(200), "the other stands by", START_S)
        # As on a disk that has filled up; the limit is the process's own.
        psutil.Process(first.pid).rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
        place.redis.incrby(KEYS.fence, 1)
        wait_for(lambda: DegradedCode.WORKER_TROUBLE in reason_codes(place.client), "it says so")
        assert first.wait(START_S) == EX_HOPELESS
        place.client.ping()
        assert place.client.status().worker.pid == standby.pid
        assert DegradedCode.WORKER_TROUBLE not in reason_codes(place.client)

    def test_a_lock_that_is_removed_is_made_again(self, place: Place) -> None:
        first = place.worker()
        lock = place.lock()
        lock.unlink()
        wait_for(lock.exists, "it is made again")
        second = place.process()
        assert second.wait(START_S) == EX_HELD
        assert f"process {first.pid} on" in second.log_tail(200)
        place.client.ping()

    def test_a_worker_whose_lock_was_removed_and_taken_by_another_ends(self, place: Place) -> None:
        first = place.worker()
        psutil.Process(first.pid).suspend()
        place.lock().unlink()
        second = place.worker()
        job = submit_endless(place.client)
        psutil.Process(first.pid).resume()
        assert first.wait(START_S) == EX_HELD
        assert is_written(place.client, job.id)
        assert place.client.status().worker.pid == second.pid
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()


class TestNothingLost:
    def test_what_ran_when_its_worker_was_killed_runs_again(self, place: Place) -> None:
        first = place.worker()
        place.client.set_mode("RECORDING")
        job = submit_endless(place.client)
        behind = [place.client.submit(Ping(), timeout_s=300) for _ in range(3)]
        kill(first)
        place.worker()
        assert place.client.status().mode is ExecutionMode.RECORDING
        wait_for(lambda: in_flight(place.client) == job.id, "it runs again")
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()
        assert [ping.result().track for ping in behind] == [TRACK] * 3
        assert left_in_hand(place) == []

    def test_a_message_that_was_on_its_way_to_a_killed_worker_is_not_lost(self, place: Place) -> None:
        """What stock kombu loses: Redis has handed it over, and the worker has not read it."""
        first = place.worker()
        job = pause_with_a_message_on_its_way(place, first)
        kill(first)
        place.worker()
        assert job.result().track == TRACK

    def test_connections_that_are_cut_lose_nothing_and_double_nothing(self, place: Place) -> None:
        worker = place.worker()
        place.client.set_mode("IDLE")
        job = submit_endless(place.client)
        behind = place.client.submit(Ping(), timeout_s=300)
        place.redis.client_kill_filter(_type="normal", skipme=True)
        place.redis.client_kill_filter(_type="pubsub", skipme=True)
        assert in_flight(place.client) == job.id
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()
        assert behind.result().track == TRACK
        assert worker.log_path.read_text().count(f"Task gpu.vlm.ask[{job.id}] received") == 1

    def test_a_redis_that_is_killed_and_comes_back(self, places: Places, tmp_path: Path) -> None:
        server = EmbeddedRedis.start(tmp_path / "redis")
        try:
            place = places(server.url)
            place.worker()
            place.client.set_mode("IDLE")
            job = submit_endless(place.client)
            behind = [place.client.submit(Ping(), timeout_s=300) for _ in range(3)]
            # What it has acknowledged is written: it is not, while a slow disk is at the sync of each second.
            place.redis.config_set("appendfsync", "no")
            psutil.Process(server.child.pid).kill()
            server.stop()
            server = EmbeddedRedis.start(tmp_path / "redis")
            assert server.url == place.url
            job.cancel()
            with pytest.raises(errors.JobCancelled):
                job.result()
            assert [ping.result().track for ping in behind] == [TRACK] * 3
            assert left_in_hand(place) == []
        finally:
            server.stop()

    def test_one_id_runs_once_and_both_callers_have_its_result(self, place: Place) -> None:
        worker = place.worker()
        first = place.client.submit(Ping(), job_id="twice")
        with Client(place.url, TRACK) as other:
            second = other.submit(Ping(), job_id="twice")
            assert first.result() == second.result()
            assert other.submit(Ping(), job_id="twice").result() == first.result()
        # A caller may have the result before the worker has logged the end of the task: the log is whole at its end.
        worker.stop()
        assert worker.log_path.read_text().count("Task gpu.ping[twice] succeeded") == 1


class TestDeadLetters:
    def test_a_job_that_kills_its_worker_is_put_aside_and_the_next_one_runs(
        self, place: Place, ollama: EmbeddedOllama
    ) -> None:
        worker = place.worker()
        place.client.set_mode("IDLE")
        job = submit_endless(place.client)
        behind = place.client.submit(Ping(), timeout_s=300)
        for begun in (2, 3):
            kill(worker)
            worker = place.worker()
            wait_for(lambda begun=begun: starts(place, job.id) == begun, "it is begun again")  # type: ignore[misc] # mypy takes no defaults there
        kill(worker)
        place.worker()
        with pytest.raises(errors.DeadLettered, match="started 3 times"):
            job.result()
        assert behind.result().track == TRACK
        ((letter_id, letter),) = place.client.dead_letters()
        assert (letter.code, letter.job_id, letter.starts) == ("worn_out", job.id, 3)
        wait_until_quiet(ollama)
        again = place.client.retry_dead(letter_id, timeout_s=60)
        wait_for(lambda: in_flight(place.client) == job.id, "it runs once more")
        again.cancel()
        with pytest.raises(errors.JobCancelled):
            again.result()
        assert place.client.dead_letters() == []

    def test_what_cannot_be_read_stops_nobody(self, place: Place) -> None:
        worker = place.worker()
        bad = message(job_id="bad", eta="2030-01-01T00:00:00")
        place.redis.lpush(KEYS.queue, b"\xff\x00", b"[]", b"{}", raw(bad), raw(message("os.system")))
        place.client.ping()
        assert worker.alive
        letters = [letter for _, letter in place.client.dead_letters()]
        assert len(letters) == 5
        assert {letter.code for letter in letters} == {"unreadable"}
        told = json.loads(place.redis.get(KEYS.result("bad")))
        assert told["result"]["exc_type"] == "DeadLettered"

    def test_five_hundred_messages_of_nonsense(self, place: Place) -> None:
        worker = place.worker()
        rng = random.Random(5)
        place.redis.lpush(KEYS.queue, *[by_chance(rng, "gpu.ping", {"request": {}}) for _ in range(500)])
        place.client.ping()
        assert worker.alive
        assert left_in_hand(place) == []


class TestTheEnd:
    def test_what_does_not_finish_in_time_is_put_back(self, place: Place, ollama: EmbeddedOllama) -> None:
        worker = place.worker(grace_s=0.5)
        place.client.set_mode("IDLE")
        job = submit_endless(place.client)
        family = psutil.Process(worker.pid).children(recursive=True)
        worker.ask_to_end()
        assert worker.wait(60) == 0, worker.log_tail()
        wait_until_quiet(ollama)
        assert not any(runs(process.pid) for process in family)
        assert [json.loads(data)["headers"]["id"] for data in place.redis.lrange(KEYS.queue, 0, -1)] == [job.id]
        assert (left_in_hand(place), starts(place, job.id)) == ([], 0)
        assert not place.redis.exists(KEYS.lease)
        place.worker()
        wait_for(lambda: in_flight(place.client) == job.id, "the next worker does it")
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
    def test_a_second_signal_puts_it_back_at_once(
        self, place: Place, ollama: EmbeddedOllama, number: signal.Signals
    ) -> None:
        worker = place.worker(grace_s=600)
        place.client.set_mode("IDLE")
        job = submit_endless(place.client)
        process = psutil.Process(worker.pid)
        process.send_signal(number)
        wait_for(lambda: "Warm shutdown" in worker.log_tail(200), "it has heard the first")
        assert worker.alive
        process.send_signal(number)
        assert worker.wait(60) == 0, worker.log_tail()
        assert [json.loads(data)["headers"]["id"] for data in place.redis.lrange(KEYS.queue, 0, -1)] == [job.id]
        job.cancel()
        wait_until_quiet(ollama)

    def test_what_finishes_in_time_is_answered(self, place: Place) -> None:
        worker = place.worker()
        place.client.set_mode("IDLE")
        job = submit_endless(place.client, timeout_s=8)
        worker.ask_to_end()
        # Of the worker and its caller, either may be the first to see that the time is up.
        with pytest.raises(errors.DeadlinePassed):
            job.result()
        assert worker.wait(60) == 0
        assert place.redis.exists(KEYS.result(job.id))
        assert place.redis.llen(KEYS.queue) == 0


def test_a_full_queue_and_full_memory_refuse_the_sender_and_end_nobody(places: Places, tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path / "redis") as server:
        place = places(server.url)
        worker = place.worker(queue_max=3)
        sent = [pause_with_a_message_on_its_way(place, worker)]
        scarce = int(place.redis.info("memory")["used_memory"]) // 2
        place.redis.config_set("maxmemory", scarce)
        with pytest.raises(errors.RedisUnavailable, match="out of memory"):
            place.client.submit(Ping())
        place.redis.config_set("maxmemory", 0)
        sent += [place.client.submit(Ping()) for _ in range(3)]
        with pytest.raises(errors.QueueFull) as caught:
            place.client.submit(Ping())
        assert caught.value.details == {"queued": 3, "queue_max": 3}
        place.redis.config_set("maxmemory", scarce)
        psutil.Process(worker.pid).resume()
        assert [job.result().track for job in sent] == [TRACK] * len(sent)
        place.redis.config_set("maxmemory", 0)
        place.client.ping()
        assert worker.alive


def test_stock_celery_loses_what_is_on_its_way(tmp_path: Path, redis_url: str) -> None:
    """The control of the test above of the same kind: it can see a loss."""
    folder = Path(__file__).parents[2] / "ops" / "upstream"
    command = [sys.executable, str(folder / "lost_message.py"), redis_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "lost" in done.stdout
