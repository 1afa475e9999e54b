"""What a worker refuses to start with: one line that says what to do, an exit status, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from singletrack import Client
from singletrack_ops.local.child_process import Child
from singletrack_tasks.errors import SingletrackError
from singletrack_worker.tenure.host_lock import lock_path, track_name
from tests.addresses import SILENT_REDIS
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import worker_environ

START_S = 120
ALONE = "A GPU worker runs one operation at a time"
NO_WEIGHTS = "local-dir:/nowhere"
FULL_DEVICE = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL_DEVICE.exists(), reason="there is no /dev/full")


def celery(folder: Path, environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run `celery -A singletrack_worker ...` to its end; returns its exit status and all it wrote."""
    command = [sys.executable, "-m", "celery", "-A", "singletrack_worker", *arguments]
    ended = subprocess.run(
        command,
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_S,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("option", ["--concurrency=2", "--pool=solo", "--autoscale=3,1"])
def test_more_than_one_thread_is_refused(tmp_path: Path, redis_url: str, option: str) -> None:
    status, output = celery(tmp_path, worker_environ(redis_url, "refused", None), "worker", option)
    assert status == 1
    assert ALONE in output
    assert "Traceback" not in output


def test_prefork_never_comes_about(tmp_path: Path, redis_url: str) -> None:
    """Celery takes `--pool=prefork` for its own default, and lets the setting win: one thread all the same."""
    wrong = worker_environ(redis_url, "refused", None, clip_weights="nonsense")
    _, output = celery(tmp_path, wrong, "worker", "--pool=prefork")
    assert ALONE in output or "concurrency: 1 (thread)" in output


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"])
@pytest.mark.parametrize("program", ["worker", "beat"])
def test_settings_of_celerys_own_are_refused(tmp_path: Path, redis_url: str, name: str, program: str) -> None:
    environ = worker_environ(redis_url, "refused", None) | {name: "redis://elsewhere"}
    status, output = celery(tmp_path, environ, program)
    assert status != 0
    assert f"{name} is set" in output
    assert "unset it" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("redis_url", "http://:s3cret@127.0.0.1"),
        ("redis_url", "redis://:s3cret@127.0.0.1:port/0"),
        ("track", "GPU 0"),
        ("idle_timeout_s", "soon"),
        ("idle_timeout_s", "-1"),
        ("idle_timeout_s", "5"),  # shorter than the interval of the checks
        ("gpu", "maybe"),
        ("retry_attempts", "4"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, redis_url: str, setting: str, value: str) -> None:
    status, output = celery(tmp_path, worker_environ(redis_url, "refused", None, **{setting: value}), "worker")
    assert status != 0
    assert setting in output.lower()
    assert "s3cret" not in output
    assert "Traceback" not in output


def test_an_empty_setting_is_one_that_is_not_set(tmp_path: Path, redis_url: str) -> None:
    """As compose files and the like pass it on; the start fails at the next thing that is wrong."""
    environ = worker_environ(redis_url, "refused", None, clip_threads="", vlm_num_ctx="", clip_weights="nonsense")
    status, output = celery(tmp_path, environ, "worker")
    assert status == 1
    assert "'nonsense'" in output
    assert "clip_threads" not in output


def test_weights_that_are_no_name_of_weights(tmp_path: Path, redis_url: str) -> None:
    environ = worker_environ(redis_url, "refused", None, clip_weights="nonsense")
    status, output = celery(tmp_path, environ, "worker")
    assert status == 1
    assert "The worker cannot start: CLIP weights are given as" in output
    assert "Traceback" not in output


def test_a_redis_that_is_down(tmp_path: Path) -> None:
    status, output = celery(tmp_path, worker_environ(SILENT_REDIS, "refused", None), "worker")
    assert status == 1
    assert "The worker cannot start: Redis does not answer" in output
    assert "Check SINGLETRACK_REDIS_URL" in output
    assert "Traceback" not in output


def test_a_redis_that_does_not_accept_the_password(tmp_path: Path, redis_url: str) -> None:
    wrong = f"redis://:wr0ng@{redis_url.partition('@')[2]}"
    status, output = celery(tmp_path, worker_environ(wrong, "refused", None), "worker")
    assert status == 1
    assert "password" in output
    assert "wr0ng" not in output
    assert "Traceback" not in output


@needs_full_device
def test_a_full_disk_for_its_lock(tmp_path: Path, redis_url: str) -> None:
    lock_path(tmp_path / "locks", track_name(redis_url, "refused")).symlink_to(FULL_DEVICE)
    environ = worker_environ(redis_url, "refused", None, gpu="none", lock_dir=tmp_path / "locks")
    status, output = celery(tmp_path, environ, "worker")
    assert status == 1
    assert "The worker cannot start: cannot use the lock" in output
    assert "No space left on device. Free space there, or set SINGLETRACK_LOCK_DIR" in output
    assert "Traceback" not in output


@needs_full_device
def test_a_full_disk_for_its_log_keeps_no_worker_from_serving(tmp_path: Path, redis_url: str) -> None:
    environ = worker_environ(redis_url, "muted", None, gpu="none", clip_weights=NO_WEIGHTS, lock_dir=tmp_path / "locks")
    command = [sys.executable, "-m", "celery", "-A", "singletrack_worker", "worker", "--loglevel=INFO"]
    worker = Child.start("worker", command, env=environ, cwd=tmp_path, log_path=FULL_DEVICE)
    try:
        with Client(redis_url, "muted") as client:
            wait_for(lambda: is_served(client), "it serves", START_S)
            worker.ask_to_end()
            assert worker.wait(START_S) == 0
    finally:
        worker.stop(1)


def is_served(client: Client) -> bool:
    try:
        return client.ping(timeout_s=5).track == "muted"
    except SingletrackError:
        return False
