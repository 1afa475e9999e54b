"""The sections in their order: short and telling ones first, since the time may be cut short."""

from collections.abc import Callable, Mapping

from gpu_check.lab import Lab
from gpu_check.report import Findings
from gpu_check.sections import (
    clip,
    context,
    drift,
    environment,
    faults,
    modes,
    nvml,
    probe,
    random_operations,
    room,
    stack,
)

SECTIONS: Mapping[str, Callable[[Lab, Findings], None]] = {
    "environment": environment.run,
    "nvml": nvml.run,
    "context": context.run,
    "probe": probe.run,
    "clip": clip.run,
    "modes": modes.run,
    "room": room.run,
    "drift": drift.run,
    "faults": faults.run,
    "stack": stack.run,
    "random": random_operations.run,
}
