"""Each property is found broken by an operation that breaks it, and by no other."""

from dataclasses import replace
from typing import Any

import pytest

from gpu_check.limits import THROUGHPUT_PART, is_fast_enough
from gpu_check.properties import Alone, Deed, broken
from singletrack_tasks.result import StepName, StepReceipt

ALONE = Alone(base_mb=400, clip_mb=900, vlm_mb=6000)
IN_AUTOPILOT = Deed(
    what="AUTOPILOT",
    mode="AUTOPILOT",
    receipts=(),
    listed=False,
    on_gpu=True,
    gpu_pid=7,
    used_mb=1300,
    free_mb=20_000,
    status_used_mb=1300,
    codes=(),
)
IN_RECORDING = replace(
    IN_AUTOPILOT,
    what="RECORDING",
    mode="RECORDING",
    listed=True,
    on_gpu=False,
    gpu_pid=None,
    used_mb=6400,
    status_used_mb=6400,
)


def step(name: StepName, before_mb: int, after_mb: int) -> StepReceipt:
    return StepReceipt(step=name, ok=True, vram_before_mb=before_mb, vram_after_mb=after_mb, duration_s=1)


def rules(deed: Deed) -> list[str]:
    return [rule for rule, _ in broken(deed, ALONE)]


@pytest.mark.parametrize("deed", [IN_AUTOPILOT, IN_RECORDING, replace(IN_RECORDING, what="ask")])
def test_what_is_as_it_should_be_breaks_nothing(deed: Deed) -> None:
    assert rules(deed) == []


@pytest.mark.parametrize(
    ("rule", "deed", "changes"),
    [
        ("P1", IN_AUTOPILOT, {"listed": True, "used_mb": 7300, "status_used_mb": 7300}),
        ("P2", IN_RECORDING, {"listed": False, "used_mb": 400, "status_used_mb": 400}),
        ("P3", IN_AUTOPILOT, {"on_gpu": False, "gpu_pid": None, "used_mb": 400, "status_used_mb": 400}),
        ("P4", IN_AUTOPILOT, {"receipts": (step("unload_vlm", 6400, 3000),)}),
        ("P5", IN_AUTOPILOT, {"status_used_mb": 1500}),
        ("P5", IN_AUTOPILOT, {"status_used_mb": None}),
        ("P5", IN_AUTOPILOT, {"gpu_pid": None}),
        ("P6", IN_RECORDING, {"receipts": (step("demote_clip", 1300, 1000),)}),
        ("P6", IN_RECORDING, {"receipts": (step("load_vlm", 400, 6400), step("demote_clip", 7300, 6400))}),
        ("P6", IN_RECORDING, {"on_gpu": True, "gpu_pid": 7, "used_mb": 7300, "status_used_mb": 7300}),
        ("sum", IN_AUTOPILOT, {"used_mb": 1500, "status_used_mb": 1500}),
    ],
)
def test_a_broken_property_is_found(rule: str, deed: Deed, changes: dict[str, Any]) -> None:
    assert rules(replace(deed, **changes)) == [rule]


@pytest.mark.parametrize(
    ("deed", "changes"),
    [
        (IN_AUTOPILOT, {"listed": True, "used_mb": 7300, "status_used_mb": 7300}),
        (IN_RECORDING, {"listed": False, "used_mb": 400, "status_used_mb": 400}),
        (IN_AUTOPILOT, {"on_gpu": False, "gpu_pid": None, "used_mb": 400, "status_used_mb": 400}),
    ],
)
def test_a_reason_excuses_what_is_missing(deed: Deed, changes: dict[str, Any]) -> None:
    assert rules(replace(deed, codes=("some_reason",), **changes)) == []


def test_two_thirds_of_the_speed_of_stock_are_enough() -> None:
    assert is_fast_enough(ours_ms=10 / THROUGHPUT_PART, stock_ms=10)
    assert not is_fast_enough(ours_ms=10 / THROUGHPUT_PART + 0.1, stock_ms=10)
