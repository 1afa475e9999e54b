"""A process that holds memory of a GPU until its stdin ends or somebody kills it: a model's runner, or a stranger.

It answers on stdout with a line of JSON: first what it had, then one line for each `grow N` (MiB) on stdin.
"""

import argparse
import ctypes
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from singletrack_ops.errors import OpsError
from singletrack_ops.stand_in.memory import GpuMemory, MemorySource

# What llama.cpp leaves free when it puts a part of a model on the CPU (MiB).
LEFT_FREE_MB = 457
OUT_OF_MEMORY = "llama runner process has terminated: cudaMalloc failed: out of memory"
_PR_SET_NAME = 15
_NAME_BYTES = 15


def main() -> int:
    """Hold what the command line says."""
    arguments = _parser().parse_args()
    _call_yourself(arguments.name)
    try:
        memory = MemorySource(arguments.cuda, arguments.card).open(arguments.name)
        _say(**_hold(memory, arguments))
    except OpsError as error:
        _say(error=error.message)
        return 1
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        if word == "grow":
            _say(had_mb=memory.take(int(number)))
    # What holds the memory must not be torn down piece by piece.
    os._exit(0)


def _hold(memory: GpuMemory, arguments: argparse.Namespace) -> dict[str, int]:
    free_mb = memory.free_mb()
    wanted_mb: int = arguments.take_mb
    if arguments.leave_mb is not None:
        wanted_mb = max(0, free_mb - arguments.leave_mb)
    if arguments.short == "fail" and free_mb < wanted_mb:
        raise OpsError(OUT_OF_MEMORY)
    room_mb = max(0, free_mb - LEFT_FREE_MB) if arguments.short == "partial" else free_mb
    return {"had_mb": memory.take(min(wanted_mb, room_mb)), "wanted_mb": wanted_mb}


def _call_yourself(name: str) -> None:
    """Take a name, by which process lists know it; only Linux has the call."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:_NAME_BYTES]), 0, 0, 0)


def _say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Hold memory of a GPU until stdin ends (MiB).")
    parser.add_argument("--name", required=True, help="what the process is called")
    parser.add_argument("--cuda", type=int, help="the index of the GPU")
    parser.add_argument("--card", type=Path, help="the folder of a simulated card")
    parser.add_argument("--take-mb", type=int, default=0)
    parser.add_argument("--leave-mb", type=int, help="take everything but so much")
    parser.add_argument("--short", choices=("take", "partial", "fail"), default="take", help="where there is no room")
    return parser


if __name__ == "__main__":
    sys.exit(main())
