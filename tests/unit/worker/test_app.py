"""The Celery app of a track, in a process of its own: it becomes the current app of whoever imports it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from singletrack_tasks.requests.catalogue import REQUESTS
from singletrack_tasks.requests.upkeep import Tick

PROGRAM = """
import json
import singletrack_worker
app = singletrack_worker.celery
app.loader.import_default_modules()
names = {names}
print(json.dumps(default=repr, obj={{
    "conf": {{name: app.conf[name] for name in names}},
    "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")),
    "heavy": [name for name in {heavy} if name in __import__("sys").modules],
}}))
"""
NAMES = (
    "broker_url",
    "result_backend",
    "broker_transport_options",
    "result_backend_transport_options",
    "task_default_queue",
    "task_acks_late",
    "worker_pool",
    "worker_concurrency",
    "worker_prefetch_multiplier",
    "accept_content",
    "task_serializer",
    "result_serializer",
    "result_expires",
    "beat_schedule",
)
HEAVY = ("torch", "open_clip", "pynvml", "PIL.ImageQt")


def python(program: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    ours = ("SINGLETRACK_", "CELERY_", "OLLAMA_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-c", program], env=clean | variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def app() -> dict[str, Any]:
    """What an app tells of itself whose environment names a track, a Redis, and an interval."""
    done = python(
        PROGRAM.format(names=NAMES, heavy=HEAVY),
        SINGLETRACK_TRACK="second",
        SINGLETRACK_REDIS_URL="redis://:secret@127.0.0.1:9/3",
        SINGLETRACK_TICK_INTERVAL_S="10",
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_it_connects_to_nothing_and_imports_nothing_heavy(app: dict[str, Any]) -> None:
    """The Redis of this test does not exist."""
    assert app["heavy"] == []


def test_all_keys_of_a_track_begin_alike(app: dict[str, Any]) -> None:
    conf = app["conf"]
    assert conf["broker_url"] == "redis://:secret@127.0.0.1:9/3"
    assert conf["result_backend"] == f"singletrack_worker.delivery.results:TrackBackend+{conf['broker_url']}"
    for options in (conf["broker_transport_options"], conf["result_backend_transport_options"]):
        assert options["global_keyprefix"] == "singletrack:second:"


def test_one_at_a_time_and_acknowledged_after_the_work(app: dict[str, Any]) -> None:
    conf = app["conf"]
    assert (conf["worker_pool"], conf["worker_concurrency"], conf["worker_prefetch_multiplier"]) == ("threads", 1, 1)
    assert conf["task_acks_late"] is True
    assert conf["broker_transport_options"]["priority_steps"] == [0]


def test_nothing_but_json(app: dict[str, Any]) -> None:
    conf = app["conf"]
    assert (conf["accept_content"], conf["task_serializer"], conf["result_serializer"]) == (["json"], "json", "json")


def test_checks_come_regularly_and_do_not_expire_by_a_clock_of_the_workers_machine(app: dict[str, Any]) -> None:
    (entry,) = app["conf"]["beat_schedule"].values()
    assert (entry["task"], entry["schedule"]) == (Tick.TASK, "<freq: 10.00 seconds>")
    assert Tick.parse(entry["kwargs"]["request"]).every_s == 10.0
    assert "expires" not in entry["options"]
    assert entry["options"]["ignore_result"] is True
    assert entry["options"]["queue"] == app["conf"]["task_default_queue"] == "gpu"


def test_the_tasks_are_those_of_the_contract(app: dict[str, Any]) -> None:
    assert app["tasks"] == sorted(request.TASK for request in REQUESTS)


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"])
def test_urls_of_celerys_own_are_refused(name: str) -> None:
    done = python("import singletrack_worker; singletrack_worker.celery", **{name: "redis://elsewhere"})
    assert done.returncode == 1
    assert done.stderr.startswith("The worker cannot start")
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_encoders_can_import_the_gpu_side_without_celery() -> None:
    done = python("import sys, singletrack_worker.gpu.clip.process; print('celery' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


def test_the_package_has_nothing_else() -> None:
    done = python("import singletrack_worker; singletrack_worker.nonsense")
    assert "has no attribute 'nonsense'" in done.stderr
