"""Connections to Redis that go silent without being closed: worker, client, beat and Flower go on over new ones."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from singletrack import Client
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import flower_page, start_beat, start_flower, start_worker
from singletrack_tasks.errors import RedisUnavailable
from singletrack_tasks.keys import Keys
from singletrack_tasks.requests.ping import Ping
from tests.faults.proxy import Proxy
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import past, worker_environ

TRACK, BEATS_TRACK = "silence", "silence-beat"
# A kernel would give a silent connection up after two hours.
LIMIT_S = 120
LONG_S = 20


@contextmanager
def behind(redis_url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before that Redis, and the address by which it is reached through it."""
    port = urlsplit(redis_url).port
    assert port is not None
    with Proxy(port) as proxy:
        yield proxy, redis_url.replace(f":{port}", f":{proxy.port}")


def at_once(proxy: Proxy) -> None:
    """What is open stays silent for ever, new connections work."""
    proxy.freeze()
    proxy.thaw(old_ones_too=False)


def after_a_while(proxy: Proxy) -> None:
    """At first new connections are silent, too."""
    proxy.freeze()
    past(LONG_S)
    proxy.thaw(old_ones_too=False)


Silence = Callable[[Proxy], None]
each_silence = pytest.mark.parametrize("silence", [at_once, after_a_while])


def environ(url: str, folder: Path, track: str = TRACK) -> dict[str, str]:
    """A worker's that needs no models: what it does is answer."""
    nothing = f"local-dir:{folder / 'no-weights'}"
    return worker_environ(url, track, None, gpu="none", clip_weights=nothing, lock_dir=folder, tick_interval_s=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("silence")


@pytest.fixture(scope="module")
def client(redis_url: str) -> Iterator[Client]:
    """A client whose connections are well."""
    with Client(redis_url, TRACK) as made:
        yield made


@pytest.fixture(scope="module")
def worker(redis_url: str, client: Client, folder: Path) -> Iterator[tuple[Child, Proxy]]:
    with behind(redis_url) as (proxy, url):
        child = start_worker(folder, environ(url, folder), client)
        yield child, proxy
        child.stop(1)


@pytest.fixture(scope="module")
def beat(redis_url: str, folder: Path) -> Iterator[tuple[Child, Proxy]]:
    with behind(redis_url) as (proxy, url):
        child = start_beat(folder, environ(url, folder, BEATS_TRACK))
        yield child, proxy
        child.stop(1)


@pytest.fixture(scope="module")
def flower(redis_url: str, folder: Path, worker: tuple[Child, Proxy]) -> Iterator[tuple[str, Proxy]]:
    with behind(redis_url) as (proxy, url):
        started = start_flower(folder, environ(url, folder) | {"FLOWER_UNAUTHENTICATED_API": "1"}, None)
        yield started.url, proxy
        started.child.stop(1)


@each_silence
def test_the_worker_goes_on(worker: tuple[Child, Proxy], client: Client, silence: Silence) -> None:
    silence(worker[1])
    assert client.ping(timeout_s=LIMIT_S).track == TRACK
    assert worker[0].alive


@each_silence
def test_beat_goes_on(beat: tuple[Child, Proxy], redis_url: str, silence: Silence) -> None:
    queue = Keys(BEATS_TRACK).queue
    with redis.Redis.from_url(redis_url) as connection:
        silence(beat[1])
        connection.delete(queue)
        wait_for(lambda: bool(connection.exists(queue)), "beat sends a check", LIMIT_S)


@each_silence
def test_flower_hears_of_jobs_again(flower: tuple[str, Proxy], client: Client, silence: Silence) -> None:
    """It listens only, for whatever the workers tell: nothing that it waits for is ever late."""
    url, proxy = flower

    def hears() -> bool:
        job = client.submit(Ping(), timeout_s=LIMIT_S)
        job.result()
        return flower_page(url, f"/api/task/info/{job.id}") is not None

    wait_for(hears, "Flower hears of a job", LIMIT_S)
    silence(proxy)
    wait_for(hears, "Flower hears of a job after the silence", LIMIT_S)


@each_silence
def test_who_waits_for_a_result_gets_it(worker: tuple[Child, Proxy], redis_url: str, silence: Silence) -> None:
    with behind(redis_url) as (proxy, url), Client(url, TRACK, worker_grace_s=LIMIT_S) as waiting:
        waiting.ping(timeout_s=LIMIT_S)
        held = psutil.Process(worker[0].pid)
        held.suspend()
        try:
            job = waiting.submit(Ping(), timeout_s=LIMIT_S)
            with ThreadPoolExecutor(1) as pool:
                result = pool.submit(job.result)
                silence(proxy)
                held.resume()
                assert result.result(LIMIT_S).track == TRACK
        finally:
            held.resume()


@each_silence
def test_who_follows_the_events_hears_of_new_ones(
    worker: tuple[Child, Proxy], client: Client, redis_url: str, silence: Silence
) -> None:
    """A silence may be told as an error; who follows on from the last event misses none."""
    with behind(redis_url) as (proxy, url), Client(url, TRACK) as follower:
        since = [event_id for event_id, _ in follower.events()][-1]
        silence(proxy)
        client.set_mode("IDLE", timeout_s=LIMIT_S)
        client.set_mode("AUTOPILOT", timeout_s=LIMIT_S)

        def hears() -> bool:
            try:
                return next(follower.events(since=since, follow=True, timeout_s=LIMIT_S), None) is not None
            except RedisUnavailable:
                return False

        wait_for(hears, "the follower hears of an event", LIMIT_S)
