"""A bare CUDA context and plain memory in a process: what the driver says of it, and when it is back."""

import time

from gpu_check.driver import came_back_mb, settled_mb
from gpu_check.lab import Lab
from gpu_check.limits import LOST_MB
from gpu_check.report import Findings


def run(lab: Lab, found: Findings) -> None:
    """Try an empty context, a small model's memory and a large one's."""
    for take_mb in {0: None, lab.sizes.small_mb: None, lab.sizes.big_mb: None}:
        _one(lab, found, take_mb)


def _one(lab: Lab, found: Findings, take_mb: int) -> None:
    empty_mb = settled_mb(lab.driver)
    stranger = lab.stranger(take_mb)
    try:
        taken_mb = settled_mb(lab.driver, rest_s=0.2) - empty_mb
        held_mb = lab.driver.held_mb().get(stranger.pid, "not listed")
    finally:
        began_s = time.monotonic()
        stranger.end()
        ended_s = time.monotonic() - began_s
    left_mb = lab.driver.used_mb() - empty_mb
    _, back_s = came_back_mb(lab.driver, empty_mb, within_mb=LOST_MB)
    what = f"a process with {take_mb} MB"
    found.tell(f"{what}: MB by the driver, MB that it lists", f"{taken_mb} / {held_mb}")
    found.tell(f"{what}: s to its end, MB still in use then", f"{ended_s:.3f} / {left_mb}")
    found.expect(f"{what}: its memory comes back, s", back_s is not None, back_s)
    if take_mb == 0:
        found.figure("context_mb", taken_mb)
    if back_s is not None:
        found.figure(f"back_after_kill_{take_mb}_mb_s", ended_s + back_s)
