"""`singletrack up` gives a track an Ollama on its own GPU, and passes another track's by."""

import json
import platform
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from singletrack_ops.embedded import ollama_server
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.track_ollama import for_track
from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.keys import ollama_tracks
from singletrack_tasks.ollama_address import server_name
from tests.fakes.nvml import FakeCard, FakeNvml

FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
SECOND_GPU = {"SINGLETRACK_GPU_INDEX": "1", "SINGLETRACK_TRACK": "gpu1"}

# Answers as far as a server has to that is only looked for, and notes the environment that it was started with.
STUB = """#!{python}
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
Path({seen!r}).write_text(json.dumps(dict(os.environ)))
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"version": "0"}}')
    def log_message(self, *_): pass
host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
HTTPServer((host, int(port)), Answer).serve_forever()
"""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"version": "0"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server has
        pass


@pytest.fixture(autouse=True)
def nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(FakeCard(uuid=FIRST), FakeCard(uuid=SECOND)))


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An Ollama that runs at the default address, as far as anybody can tell."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(ollama_server, "DEFAULT_URL", url)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield url
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedRedis.start(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with an `ollama` in it; what it is started with lies in `seen` beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    binary = folder / "ollama"
    binary.write_text(STUB.format(python=sys.executable, seen=str(tmp_path / "seen")), encoding="utf-8")
    binary.chmod(0o755)
    return folder


def taken_by(redis_url: str, url: str, *tracks: str) -> None:
    key = ollama_tracks(server_name(url, platform.node()))
    with redis.Redis.from_url(redis_url) as connection:
        connection.delete(key)
        if tracks:
            connection.zadd(key, dict.fromkeys(tracks, 1.0))


def test_a_server_that_is_started_sees_the_tracks_gpu_alone(redis_url: str, running: str) -> None:
    taken_by(redis_url, running)
    said: list[str] = []
    found = for_track(SECOND_GPU, redis_url, "gpu1", said.append)
    assert (found["CUDA_VISIBLE_DEVICES"], found.get("OLLAMA_HOST"), said) == (SECOND, None, [])


@pytest.mark.skipif(sys.platform == "win32", reason="the stub is a script")
def test_another_tracks_server_is_passed_by(redis_url: str, running: str, programs: Path, tmp_path: Path) -> None:
    taken_by(redis_url, running, "gpu0", "gpu1")
    said: list[str] = []
    found = for_track(SECOND_GPU | {"PATH": str(programs)}, redis_url, "gpu1", said.append)
    assert said == ["the Ollama that runs is that of gpu0: this track gets its own"]
    with EmbeddedOllama.start(tmp_path / "ollama", environ=found) as own:
        assert own.url == f"http://{found['OLLAMA_HOST']}" != running
        seen = json.loads((tmp_path / "seen").read_text(encoding="utf-8"))
    assert seen["CUDA_VISIBLE_DEVICES"] == SECOND


def test_its_own_server_is_used_again(redis_url: str, running: str, programs: Path) -> None:
    taken_by(redis_url, running, "gpu1")
    found = for_track(SECOND_GPU | {"PATH": str(programs)}, redis_url, "gpu1", lambda _: None)
    assert "OLLAMA_HOST" not in found


def test_where_none_can_be_started_the_one_that_runs_is_shared_and_it_is_said(redis_url: str, running: str) -> None:
    taken_by(redis_url, running, "gpu0")
    said: list[str] = []
    found = for_track(SECOND_GPU | {"PATH": "/nowhere"}, redis_url, "gpu1", said.append)
    assert "OLLAMA_HOST" not in found
    assert said == ["the Ollama that runs serves gpu0 as well, and there is no `ollama` to start another one with"]


def test_a_server_that_is_named_is_taken_as_it_is(redis_url: str, running: str, programs: Path) -> None:
    taken_by(redis_url, running, "gpu0")
    named = SECOND_GPU | {"PATH": str(programs), "SINGLETRACK_OLLAMA_URL": running}
    assert "OLLAMA_HOST" not in for_track(named, redis_url, "gpu1", lambda _: None)


@pytest.mark.parametrize("gpu", ["none", "simulated"])
def test_without_a_gpu_of_its_own_nothing_changes(redis_url: str, gpu: str) -> None:
    environ = SECOND_GPU | {"SINGLETRACK_GPU": gpu}
    assert for_track(environ, redis_url, "gpu1", lambda _: None) == environ


def test_a_gpu_that_is_not_there_is_refused_before_anything_starts(redis_url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_GPU_INDEX is 7"):
        for_track({"SINGLETRACK_GPU_INDEX": "7"}, redis_url, "gpu1", lambda _: None)
