"""The worker's resident memory at rest, and that of its encoders."""

import psutil

from singletrack_ops.stack import Stack

MIB = 1024 * 1024


def run(stack: Stack) -> None:
    """Read it off the running processes."""
    worker = psutil.Process(stack.worker.pid)
    print(f"  {'worker, without its encoders':32} {worker.memory_info().rss / MIB:6.0f} MB")
    for child in worker.children(recursive=True):
        print(f"  {'  ' + _kind(child):32} {child.memory_info().rss / MIB:6.0f} MB")


def _kind(process: psutil.Process) -> str:
    return process.cmdline()[-1].rpartition(".")[2]
