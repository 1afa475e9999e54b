"""Real workers on the two GPUs of a driver that stands in: which one each has, and that they need an Ollama each."""

import json
import socket
from pathlib import Path
from typing import Any

import redis

from singletrack import Client
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import start_worker
from singletrack_tasks.keys import ollama_tracks
from singletrack_tasks.ollama_address import server_name
from singletrack_tasks.result import DegradedCode
from tests.addresses import SILENT_OLLAMA
from tests.fakes.nvml import STAND_INS
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import reason_codes, worker_environ

FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0
NOTICED_S = 60.0


def environ_on(folder: Path, redis_url: str, track: str, **variables: str) -> dict[str, str]:
    driver: dict[str, Any] = {"cards": [{"uuid": FIRST}, {"uuid": SECOND}], "driver": "580.65.06", "cuda": 13000}
    settings = {"clip_weights": "local-dir:/nowhere", "lock_dir": folder}
    return (
        worker_environ(redis_url, track, None, **settings)
        | {"PYTHONPATH": f"{STAND_INS}:{ROOT}", "FAKE_NVML": json.dumps(driver | {"errors": {}})}
        | variables
    )


def shares(client: Client) -> bool:
    return DegradedCode.OLLAMA_SHARED in reason_codes(client)


def started(folder: Path, environ: dict[str, str], client: Client) -> Child:
    folder.mkdir()
    return start_worker(folder, environ, client)


def test_two_tracks_have_a_gpu_each_and_tell_that_they_share_a_server(tmp_path: Path, redis_url: str) -> None:
    one = environ_on(tmp_path, redis_url, "gpus-0", SINGLETRACK_GPU_INDEX=FIRST)
    other = environ_on(tmp_path, redis_url, "gpus-1", CUDA_VISIBLE_DEVICES="1")
    with Client(redis_url, "gpus-0") as first, Client(redis_url, "gpus-1") as second:
        worker = started(tmp_path / "one", one, first)
        try:
            neighbour = started(tmp_path / "other", other, second)
            try:
                gpus = [client.status().gpu for client in (first, second)]
                assert [(gpu.uuid, gpu.index) for gpu in gpus if gpu is not None] == [(FIRST, 0), (SECOND, 1)]
                locks = {path.name for path in tmp_path.glob("*.lock")}
                assert locks == {f"singletrack-{FIRST}.lock", f"singletrack-{SECOND}.lock"}
                wait_for(lambda: all(shares(client) for client in (first, second)), "both know", LIMIT_S)
                shared = next(it for it in first.status().reasons if it.code is DegradedCode.OLLAMA_SHARED)
                assert "the track gpus-1 uses" in shared.message
            finally:
                neighbour.ask_to_end()
                neighbour.wait(NOTICED_S)
                neighbour.stop(1)
            wait_for(lambda: not shares(first), "it is alone", LIMIT_S)
        finally:
            worker.ask_to_end()
            worker.wait(NOTICED_S)
            worker.stop(1)
    with redis.Redis.from_url(redis_url) as connection:
        assert not connection.exists(ollama_tracks(server_name(SILENT_OLLAMA, socket.gethostname())))
