"""What the doctor finds of a GPU: the program is a real process, the driver and the GPU's torch are stand-ins."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from singletrack.cli import gpu_checks
from singletrack.cli.findings import Finding
from singletrack.cli.gpu_checks import PROOF, check_gpu, describe_remote
from singletrack_tasks.status import GpuInfo, VRAMInfo
from tests.unit.producers.statuses import status

ROOT = Path(__file__).parents[4]
DRIVER, TORCH = ROOT / "tests" / "stand_ins" / "driver", ROOT / "tests" / "stand_ins" / "gpu_torch"
FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
NO_DEVICE = "No CUDA GPUs are available"


class Machine:
    """What the program finds of driver and torch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
            monkeypatch.delenv(name, raising=False)
        self.cards: list[dict[str, Any]] = [{"uuid": FIRST}, {"uuid": SECOND}]
        self.driver: dict[str, Any] = {"driver": "580.65.06", "cuda": 13000, "errors": {}}
        self.torch: dict[str, Any] = {"cuda": "13.0", "architectures": ["sm_75", "sm_86"], "error": "", "does": "well"}

    def check(self, wanted: str | None = None, *, real_torch: bool = False) -> dict[str, Finding]:
        """The findings, by what they are of."""
        folders = [DRIVER, *([] if real_torch else [TORCH]), ROOT]
        self._monkeypatch.setenv("PYTHONPATH", ":".join(map(str, folders)))
        self._monkeypatch.setenv("FAKE_NVML", json.dumps({"cards": self.cards, **self.driver}))
        self._monkeypatch.setenv("FAKE_TORCH", json.dumps(self.torch))
        return {finding.what: finding for finding in check_gpu("auto", wanted)}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_gpu_that_computes_is_well(machine: Machine) -> None:
    found = machine.check("1")
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert found["GPU"].text == (f"NVIDIA GeForce RTX 3060 ({SECOND}), number 1 of 2, driver 580.65.06, 8,192 MB")
    assert found["CUDA"].text == f"torch 2.14.1+{SECOND} for CUDA 13.0 computes on it", "it saw that GPU alone"


def test_the_gpu_is_chosen_as_the_worker_does(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert SECOND in machine.check()["GPU"].text
    contradiction = machine.check("0")
    assert contradiction["GPU"].verdict == "problem"
    assert "Unset one of them" in contradiction["GPU"].text
    assert list(contradiction) == ["GPU"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    hidden = machine.check()["GPU"]
    assert (hidden.verdict, "hides every GPU" in hidden.text) == ("note", True)


@pytest.mark.parametrize(
    ("driver", "torch", "card", "said", "advised"),
    [
        ({"driver": "570.12", "cuda": 12080}, {}, {}, "needs a driver for CUDA 13", "driver 580 or newer"),
        ({}, {}, {"capability": [7, 0]}, "this GPU is sm_70", "download.pytorch.org/whl/cu126"),
        ({}, {}, {"capability": [12, 0]}, "this GPU is sm_120", "newer torch"),
        ({}, {"cuda": None}, {}, "built without CUDA", "build for CUDA"),
        ({}, {"error": NO_DEVICE}, {}, NO_DEVICE, "restart the container"),
        ({}, {"error": "CUDA error: all CUDA-capable devices are busy or unavailable"}, {}, "busy", "for itself"),
        ({}, {"error": "something\nnew"}, {}, "does not compute on it: RuntimeError: something new", ""),
        ({}, {"does": "lies"}, {}, "instead of 16777216", ""),
        ({}, {"does": "dies"}, {}, "ended with exit status", "CLIP would fail like it"),
    ],
)
def test_what_keeps_clip_off_the_gpu_is_a_problem_with_what_to_do(
    machine: Machine, driver: dict[str, Any], torch: dict[str, Any], card: dict[str, Any], said: str, advised: str
) -> None:
    machine.driver |= driver
    machine.torch |= torch
    machine.cards = [{"uuid": FIRST, **card}]
    found = machine.check()
    assert found["GPU"].verdict == "ok", "what the driver says is told whatever becomes of torch"
    assert found["CUDA"].verdict == "problem"
    assert said in found["CUDA"].text
    assert advised in found["CUDA"].advice


def test_a_gpu_that_is_full_is_no_problem(machine: Machine) -> None:
    machine.torch["error"] = "CUDA out of memory. Tried to allocate 2 MiB"
    assert machine.check()["CUDA"].verdict == "note"


def test_a_program_that_hangs_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.torch["does"] = "hangs"
    monkeypatch.setattr(gpu_checks, "PROOF_TIMEOUT_S", 5.0)
    (problem,) = [found for found in machine.check().values() if found.verdict == "problem"]
    assert "did not answer within 5 s and was ended" in problem.text


@pytest.mark.parametrize(("mode", "name"), [(1, "EXCLUSIVE_THREAD"), (2, "PROHIBITED"), (3, "EXCLUSIVE_PROCESS")])
def test_a_gpu_for_one_process_alone_is_a_problem(machine: Machine, mode: int, name: str) -> None:
    machine.cards[0]["compute_mode"] = mode
    found = machine.check()["compute mode"]
    assert (found.verdict, name in found.text) == ("problem", True)
    assert found.advice == f"As root: `nvidia-smi -i {FIRST} -c DEFAULT`."


def test_a_divided_gpu_needs_an_instance(machine: Machine) -> None:
    instances = [{"name": "A100 MIG 3g.20gb", "uuid": f"MIG-{letter}"} for letter in "ab"]
    machine.cards = [{"uuid": FIRST, "instances": instances}]
    found = machine.check()["GPU"]
    assert (found.verdict, "divided into MIG instances" in found.text) == ("problem", True)
    assert "MIG-b" in machine.check("MIG-b")["CUDA"].text


@pytest.mark.parametrize(
    ("card", "verdict", "said"),
    [
        ({"memory": "NoPermission"}, "problem", "Insufficient Permissions"),
        ({"free_mb": 9000}, "problem", "which cannot be"),
        ({"memory": "NotSupported"}, "note", "shares the system's memory"),
        ({"name": "RTX\xff"}, "ok", "RTX? ("),
        ({"uuid": "GPU-\xff"}, "ok", "(unreadable-0)"),
    ],
)
def test_what_the_driver_does_not_tell_has_words_of_its_own(
    machine: Machine, card: dict[str, Any], verdict: str, said: str
) -> None:
    machine.cards = [{"uuid": FIRST, **card}]
    found = machine.check()["GPU"]
    assert (found.verdict, said in found.text) == (verdict, True), found


def test_a_driver_that_does_not_answer_is_a_problem_and_none_is_a_note(machine: Machine) -> None:
    machine.driver["errors"] = {"nvmlInit": "Unknown"}
    lost = machine.check()["GPU"]
    assert (lost.verdict, "restart the container" in lost.text) == ("problem", True)
    machine.driver["errors"] = {"nvmlInit": "DriverNotLoaded"}
    none = machine.check()
    assert (none["GPU"].verdict, list(none)) == ("note", ["GPU"])
    machine.driver["errors"], machine.cards = {}, []
    assert machine.check()["GPU"].verdict == "note"


def test_the_torch_that_is_installed_here_is_tried(machine: Machine) -> None:
    pytest.importorskip("torch")
    built = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.version.cuda)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    # This machine's torch finds no GPU, or another one than that of the stand-in.
    found = machine.check(real_torch=True)["CUDA"]
    assert found.verdict == "problem"
    assert ("built without CUDA" in found.text) is (built.stdout.strip() == "None")


def test_the_program_tells_what_it_finds_here() -> None:
    done = subprocess.run(PROOF, capture_output=True, check=True, timeout=300)
    first = json.loads(done.stdout.splitlines()[0])["driver"]
    assert ("gpu" in first) != ("error" in first)


@pytest.mark.parametrize(
    ("built", "capability", "runs"),
    [
        (["sm_75", "sm_80"], (8, 6), True),
        (["sm_75", "sm_80"], (7, 0), False),
        (["sm_75", "sm_86"], (8, 0), False),
        (["sm_90"], (10, 0), False),
        (["sm_90", "compute_90"], (10, 0), True),
        (["sm_90a"], (9, 0), True),
        (["sm_100a"], (10, 3), False),
        (["sm_100", "sm_120"], (12, 1), True),
        (["gfx90a"], (9, 0), False),
    ],
)
def test_code_runs_on_its_own_generation(built: list[str], capability: tuple[int, int], runs: bool) -> None:
    assert gpu_checks._runs_on(capability, built) is runs


def test_what_the_worker_elsewhere_has_is_told() -> None:
    gpu, vram = GpuInfo(name="RTX 3060", uuid=FIRST), VRAMInfo(total_mb=8192, used_mb=1000, free_mb=7192)
    there = describe_remote(status(gpu=gpu, vram=vram))
    assert (there.verdict, there.text) == (
        "ok",
        "here has RTX 3060 with 1,000 of 8,192 MB in use; CLIP is on cpu, the VLM is unloaded",
    )
    assert describe_remote(status(gpu=gpu)).verdict == "ok"
    assert describe_remote(status()).verdict == "note"
