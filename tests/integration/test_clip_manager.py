"""CLIP in real processes: migrations keep the answers, and no death of a process loses CLIP."""

import contextlib
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

from singletrack_tasks.errors import (
    ClipUnavailable,
    EncoderFailure,
    InvalidConfiguration,
    InvalidImage,
    MigrationFailed,
)
from singletrack_tasks.status import GpuInfo, ResizeMode
from singletrack_worker.gpu.clip import cpu_encoder
from singletrack_worker.gpu.clip.manager import CLIPManager
from singletrack_worker.gpu.clip.process import COMMAND, EncoderProcess
from singletrack_worker.gpu.tenants import Clip
from tests.unit.gpu.clip.clip_conformance import ClipConformance, everything, known, pictures

# A card of a machine that has more: inside the encoder's process it is the only one.
CARD = GpuInfo(name="a card", uuid="GPU-11111111-aaaa", index=3)
GPU = "cuda:3"
SIMULATED = GpuInfo(name="a simulated card", uuid="SIMULATED-0", index=3, simulated=True)
STAND_IN = (sys.executable, str(Path(__file__).parents[1] / "unit" / "gpu" / "clip" / "stand_in_encoder.py"))
LIMIT_S = 60.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.01)


def kill(manager: CLIPManager, pid: int | None) -> None:
    """Kill an encoder and wait until its manager can tell: one of several threads is a zombie before that."""
    assert pid is not None
    psutil.Process(pid).kill()
    wait_for(lambda: pid not in manager._launcher.running_pids(), "the death shows")


def has_ended(process: psutil.Process) -> bool:
    """Whether it has; it may stay listed until its parent collects it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def encoder_pids() -> list[int]:
    """Those of the stand-ins that run."""
    return [child.pid for child in psutil.Process().children() if STAND_IN[1] in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []  # it has just ended, whose ever it is


@pytest.fixture(scope="module")
def real_clip(tiny_clip: Path) -> Iterator[CLIPManager]:
    manager = CLIPManager(f"local-dir:{tiny_clip}", resize_mode=ResizeMode.SQUASH, gpu=SIMULATED, threads=2)
    manager.start()
    yield manager
    pids = [pid for pid in manager.pids if pid]
    manager.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert manager.pids == (None, None)


class TestRealEncoders(ClipConformance):
    """The program itself with real torch and open_clip, and a GPU that is simulated."""

    @pytest.fixture
    def clip(self, real_clip: CLIPManager) -> CLIPManager:
        return real_clip

    def test_the_model_is_marked_as_untrained(self, clip: Clip) -> None:
        assert known(clip).trained is False

    def test_batches_of_any_size_give_the_same_rows(self, clip: Clip) -> None:
        image = pictures(clip)[1]
        many = clip.embed_images([image] * 70)
        assert many.shape[0] == 70
        assert np.allclose(many, clip.embed_images([image]), atol=1e-6)

    def test_texts_longer_than_the_context_are_cut(self, clip: Clip) -> None:
        assert np.isfinite(clip.embed_texts(["word " * 800, "\u00fc\u4e2d\U0001f600"])).all()

    def test_images_of_another_size_are_refused(self, clip: Clip) -> None:
        with pytest.raises(InvalidImage, match="224"):
            clip.embed_images([bytes(12)])

    def test_killed_encoders_are_replaced(self, clip: CLIPManager) -> None:
        before = everything(clip)
        clip.promote()
        cpu_pid, gpu_pid = clip.pids
        kill(clip, gpu_pid)
        assert clip.device == "cpu"
        assert np.array_equal(everything(clip), before)
        kill(clip, cpu_pid)
        assert np.array_equal(everything(clip), before)
        assert clip.find() == "cpu"
        assert clip.pids[0] not in (None, cpu_pid)


def test_a_gpu_that_is_not_there_leaves_clip_on_the_cpu(tiny_clip: Path) -> None:
    manager = CLIPManager(f"local-dir:{tiny_clip}", resize_mode=ResizeMode.SQUASH, gpu=CARD)
    try:
        manager.start()
        before = everything(manager)
        with pytest.raises(MigrationFailed, match="stays on the CPU"):
            manager.promote()
        assert (manager.device, manager.find(), manager.pids[1]) == ("cpu", "cpu", None)
        assert np.array_equal(everything(manager), before)
    finally:
        manager.stop()


def test_weights_that_are_not_there_say_so_and_may_come_later(tiny_clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    manager = CLIPManager(f"local-dir:{folder}", resize_mode=ResizeMode.LONGEST, gpu=None)
    try:
        with pytest.raises(ClipUnavailable, match=r"open_clip_config\.json"):
            manager.start()
        assert manager.model is None
        with pytest.raises(ClipUnavailable, match=r"open_clip_config\.json"):
            manager.check()
        shutil.copytree(tiny_clip, folder)
        manager.start()
        assert known(manager).resize_mode is ResizeMode.LONGEST
        with pytest.raises(MigrationFailed, match="no GPU"):
            manager.promote()
    finally:
        manager.stop()


def test_a_spare_leaves_cuda_and_signals_to_its_worker() -> None:
    spare = EncoderProcess()
    try:
        assert spare.call({"command": "ready"}, timeout_s=LIMIT_S).header == {"cuda_initialized": False}
        with pytest.raises(EncoderFailure, match="no model is loaded"):
            spare.call({"command": "where"}, timeout_s=LIMIT_S)
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGTERM):
                psutil.Process(spare.pid).send_signal(number)
            assert spare.call({"command": "ready"}, timeout_s=LIMIT_S).header
    finally:
        spare.end()


@pytest.mark.parametrize("when", ["while it imports", "when it is ready"])
def test_no_encoder_outlives_a_worker_that_is_killed(when: str) -> None:
    wait = "process.call({'command': 'ready'}, timeout_s=60)" if when == "when it is ready" else ""
    program = (
        "from singletrack_worker.gpu.clip.process import EncoderProcess\n"
        f"process = EncoderProcess()\n{wait}\nprint(process.pid, flush=True)\n"
        "import threading; threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            encoder = psutil.Process(int(worker.stdout.readline()))
        finally:
            worker.kill()
    try:
        wait_for(lambda: has_ended(encoder), "the encoder has ended")
    finally:
        if encoder.is_running():
            encoder.kill()


def test_the_worker_never_imports_torch() -> None:
    program = (
        "import sys\n"
        "from singletrack_tasks.status import GpuInfo, ResizeMode\n"
        "from singletrack_worker.gpu.clip.manager import CLIPManager\n"
        f"command = lambda: {STAND_IN!r}\n"
        "gpu = GpuInfo(name='a card', uuid='GPU-1')\n"
        "m = CLIPManager('local-dir:/x', resize_mode=ResizeMode.SQUASH, gpu=gpu, command=command)\n"
        "m.start(); m.promote(); m.embed_texts(['a']); m.stop()\n"
        "print([n for n in ('torch', 'open_clip', 'torchvision', 'pynvml') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    assert done.stdout.strip() == "[]"


class Commands:
    """The command lines of the encoder processes that come next; the last one stays."""

    def __init__(self) -> None:
        self.coming: list[Sequence[str]] = [STAND_IN]

    def __call__(self) -> Sequence[str]:
        return self.coming.pop(0) if len(self.coming) > 1 else self.coming[0]

    def then(self, *commands: Sequence[str]) -> None:
        self.coming = [*commands, STAND_IN]


@pytest.fixture
def commands() -> Commands:
    return Commands()


def manager_of(commands: Commands, encode_timeout_s: float) -> CLIPManager:
    return CLIPManager(
        "local-dir:/stand-in",
        resize_mode=ResizeMode.SQUASH,
        gpu=CARD,
        encode_timeout_s=encode_timeout_s,
        command=commands,
    )


@pytest.fixture
def stand_in(commands: Commands) -> Iterator[CLIPManager]:
    """A manager, not started, whose encoder program misbehaves as told; the pipes and the processes are real."""
    manager = manager_of(commands, encode_timeout_s=2)
    yield manager
    manager.stop()


class TestStandInConforms(ClipConformance):
    @pytest.fixture
    def clip(self, stand_in: CLIPManager) -> CLIPManager:
        stand_in.start()
        return stand_in


BAD_PROMOTIONS = [
    (["--skew"], "differ from the CPU's"),
    (["--fingerprint", "other"], "weights on disk have changed"),
    (["--fail-load", "out_of_memory"], "told to fail: out_of_memory"),
    (["--fail-load", "unavailable"], "told to fail: unavailable"),
    (["--die-at-load"], "the driver is gone"),
    (["--elsewhere"], "went to cpu"),
    (["--fail-full-batch"], "told to fail: a full batch"),
]


@pytest.mark.parametrize(("options", "reason"), BAD_PROMOTIONS)
def test_a_failed_migration_leaves_clip_working(
    stand_in: CLIPManager, commands: Commands, options: list[str], reason: str
) -> None:
    commands.then(STAND_IN, [*STAND_IN, *options])
    stand_in.start()
    before = everything(stand_in)
    with pytest.raises(MigrationFailed, match=reason) as caught:
        stand_in.promote()
    assert "stays on the CPU" in caught.value.message
    assert (stand_in.device, stand_in.pids[1]) == ("cpu", None)
    assert np.array_equal(everything(stand_in), before)
    # The next one starts afresh.
    stand_in.promote()
    assert stand_in.find() == GPU


def test_the_figures_of_a_failed_comparison_are_told(stand_in: CLIPManager, commands: Commands) -> None:
    commands.then(STAND_IN, [*STAND_IN, "--skew"])
    stand_in.start()
    with pytest.raises(MigrationFailed) as caught:
        stand_in.promote()
    assert caught.value.details["distance"] > caught.value.details["tolerance"] == 1e-4


@pytest.mark.parametrize(("deed", "promoted"), [("die", False), ("die", True), ("hang", True)])
def test_an_encoder_that_fails_at_work_is_made_up_for(
    stand_in: CLIPManager, tmp_path: Path, deed: str, promoted: bool
) -> None:
    stand_in.start()
    if promoted:
        stand_in.promote()
    cpu_pid = stand_in.pids[0]
    text = f"{deed} once {tmp_path / 'done'}"
    rows = stand_in.embed_texts([text])
    assert (tmp_path / "done").exists()
    assert np.array_equal(rows, stand_in.embed_texts([text]))
    assert stand_in.device == stand_in.find() == "cpu"
    assert (stand_in.pids[0] == cpu_pid) is promoted


def test_the_limit_is_for_a_batch_and_an_overrun_is_not_repeated(stand_in: CLIPManager, tmp_path: Path) -> None:
    stand_in.start()
    cpu_pid = stand_in.pids[0]
    texts = [f"hang once {tmp_path / 'hangs'}"] + ["a"] * 32
    with pytest.raises(EncoderFailure, match=r"overran 4 s .*'texts'"):
        stand_in.embed_texts(texts)
    assert stand_in.pids[0] is None
    assert stand_in.embed_texts(texts).shape[0] == 33
    assert stand_in.pids[0] not in (None, cpu_pid)


def test_many_images_have_the_time_of_their_batches(stand_in: CLIPManager) -> None:
    stand_in.start()
    pid = stand_in.pids[0]
    assert pid is not None
    # It answers nothing while it is suspended.
    encoder = psutil.Process(pid)
    encoder.suspend()
    with pytest.raises(EncoderFailure, match=r"overran 4 s .*'images'"):
        stand_in.embed_images(pictures(stand_in)[:1] * 64)


def test_an_encoder_sees_the_workers_gpu_alone_or_none(stand_in: CLIPManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    stand_in.start()
    stand_in.promote()
    spares = [pid for pid in encoder_pids() if pid not in stand_in.pids]
    assert len(spares) == 1
    environs = [psutil.Process(pid).environ() for pid in (*stand_in.pids, *spares)]
    assert [environ.get("CUDA_VISIBLE_DEVICES") for environ in environs] == ["", CARD.uuid, CARD.uuid]
    assert [environ.get("CUDA_DEVICE_ORDER") for environ in environs] == [None, "PCI_BUS_ID", "PCI_BUS_ID"]
    assert stand_in.device == stand_in.find() == GPU, "outside its process it has the driver's number"


@pytest.mark.parametrize("said", ["No CUDA GPUs are available", "CUDA error: no CUDA-capable device is detected"])
def test_a_gpu_that_no_new_process_can_open_is_told_with_what_to_do(
    stand_in: CLIPManager, commands: Commands, said: str
) -> None:
    commands.then(STAND_IN, [*STAND_IN, "--fail-load", "error", "--saying", f"RuntimeError: {said}"])
    stand_in.start()
    with pytest.raises(MigrationFailed, match="restart the container") as caught:
        stand_in.promote()
    assert said in caught.value.message


def test_a_check_restores_what_died(stand_in: CLIPManager) -> None:
    stand_in.start()
    stand_in.promote()
    for pid in stand_in.pids:
        kill(stand_in, pid)
    assert (stand_in.device, stand_in.pids) == ("cpu", (None, None))
    stand_in.check()
    assert stand_in.pids[0] is not None
    stand_in.promote()
    assert stand_in.find() == GPU


def test_a_spare_that_died_is_replaced(stand_in: CLIPManager) -> None:
    stand_in.start()
    spares = [pid for pid in encoder_pids() if pid not in stand_in.pids]
    assert len(spares) == 1
    kill(stand_in, spares[0])
    stand_in.promote()
    assert stand_in.find() == GPU


def test_weights_that_change_while_the_worker_runs_are_not_mixed(stand_in: CLIPManager, commands: Commands) -> None:
    stand_in.start()
    commands.then([*STAND_IN, "--fingerprint", "other"])
    kill(stand_in, stand_in.pids[0])
    with pytest.raises(ClipUnavailable, match="Restart the worker"):
        stand_in.embed_texts(["a"])


def test_a_load_that_failed_is_not_tried_again_at_every_check(
    stand_in: CLIPManager, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = [*STAND_IN, "--die-at-load"]
    commands.then(dies, dies)
    for attempt in (stand_in.start, stand_in.check, stand_in.start, stand_in.check):
        with pytest.raises(EncoderFailure, match="the driver is gone"):
            attempt()
    # The two checks started nothing: what comes next works.
    assert commands.coming == [STAND_IN]
    stand_in.start()
    assert known(stand_in).name == "stand-in"

    commands.then(dies)
    kill(stand_in, stand_in.pids[0])
    for _ in range(2):
        with pytest.raises(EncoderFailure, match="the driver is gone"):
            stand_in.check()
    monkeypatch.setattr(cpu_encoder, "LOAD_RETRY_S", 0.0)
    commands.then(dies)
    with pytest.raises(EncoderFailure, match="the driver is gone"):
        stand_in.start()
    stand_in.check()
    assert stand_in.pids[0] is not None


def test_a_stop_breaks_off_what_runs_and_nothing_starts_after_it(stand_in: CLIPManager, tmp_path: Path) -> None:
    stand_in.start()
    errors: list[EncoderFailure] = []

    def embed() -> None:
        with pytest.raises(EncoderFailure) as caught:
            stand_in.embed_texts([f"hang once {tmp_path / 'hangs'}"])
        errors.append(caught.value)

    thread = threading.Thread(target=embed)
    thread.start()
    wait_for((tmp_path / "hangs").exists, "the encoder hangs")
    stand_in.stop()
    thread.join(LIMIT_S)
    assert len(errors) == 1
    assert stand_in.pids == (None, None)
    with pytest.raises(EncoderFailure, match="stopped"):
        stand_in.embed_texts(["a"])


def test_a_stop_breaks_off_a_promotion(stand_in: CLIPManager, commands: Commands, tmp_path: Path) -> None:
    commands.then(STAND_IN, [*STAND_IN, "--hang-at-load", str(tmp_path / "hangs")])
    stand_in.start()
    errors: list[MigrationFailed] = []

    def promote() -> None:
        with pytest.raises(MigrationFailed) as caught:
            stand_in.promote()
        errors.append(caught.value)

    thread = threading.Thread(target=promote)
    thread.start()
    wait_for((tmp_path / "hangs").exists, "the encoder hangs")
    stand_in.stop()
    thread.join(LIMIT_S)
    assert [error.details["kind"] for error in errors] == ["ended"]
    assert encoder_pids() == []


def test_a_stop_is_for_good(stand_in: CLIPManager) -> None:
    stand_in.stop()
    with pytest.raises(EncoderFailure, match="stopped") as caught:
        stand_in.start()
    assert caught.value.details["kind"] == "ended"
    assert encoder_pids() == []


def test_the_status_never_waits(commands: Commands, tmp_path: Path) -> None:
    # It hangs until it is stopped: whoever looks has all the time in the world.
    manager = manager_of(commands, encode_timeout_s=10 * LIMIT_S)
    manager.start()
    manager.promote()

    def embed() -> None:
        with contextlib.suppress(EncoderFailure):
            manager.embed_texts([f"hang once {tmp_path / 'hangs'}"])

    thread = threading.Thread(target=embed)
    thread.start()
    wait_for((tmp_path / "hangs").exists, "the encoder hangs")
    assert (manager.device, known(manager).name) == (GPU, "stand-in")
    assert None not in manager.pids
    assert thread.is_alive()
    manager.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_fallback_is_logged(stand_in: CLIPManager, caplog: pytest.LogCaptureFixture) -> None:
    stand_in.start()
    stand_in.promote()
    kill(stand_in, stand_in.pids[1])
    with caplog.at_level(logging.WARNING):
        stand_in.check()
    assert "The GPU's encoder process" in caplog.text


def test_why_the_gpu_was_given_up_is_known_until_the_next_migration(stand_in: CLIPManager) -> None:
    reasons: list[bool] = []
    stand_in.start()
    stand_in.promote()
    reasons.append(stand_in.given_up is not None)
    kill(stand_in, stand_in.pids[1])
    stand_in.embed_texts(["a text"])
    reasons.append(stand_in.given_up is not None)
    stand_in.promote()
    reasons.append(stand_in.given_up is not None)
    assert reasons == [False, True, False]


def test_wrong_settings_are_refused_before_anything_starts() -> None:
    with pytest.raises(InvalidConfiguration):
        CLIPManager("nonsense", resize_mode=ResizeMode.SQUASH, gpu=None)


def test_the_real_program_is_the_default() -> None:
    assert COMMAND[-1] == "singletrack_worker.gpu.clip.program"
