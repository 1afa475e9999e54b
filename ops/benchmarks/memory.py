"""The worker's resident memory at rest, and that of its encoders."""

import psutil

from singletrack_ops.stack import Stack

MIB = 1024 * 1024


def run(stack: Stack) -> None:
    """Read the running processes' resident memory."""
    worker = psutil.Process(stack.worker.pid)
    print(f"  {'worker, without its encoders':32} {worker.memory_info().rss / MIB:6.0f} MB")
    for child in worker.children(recursive=True):
        print(f"  {'  an encoder process':32} {child.memory_info().rss / MIB:6.0f} MB")
