"""The worker's resident memory at rest and after many jobs, and that of its encoders."""

import random

import psutil
from PIL import Image

from singletrack.client import Client
from singletrack_ops.demo.samples import samples_folder
from singletrack_ops.stack import Stack
from singletrack_tasks.status import ExecutionMode

MIB = 1024 * 1024
JOBS = 20_000
# The memory is read before the first job and after each of these parts.
_PARTS = 10
_MODES = (ExecutionMode.AUTOPILOT, ExecutionMode.RECORDING)
_PICTURE = (64, 64)
_MAX_TOKENS = 8


def run(stack: Stack) -> None:
    """Read the running processes' resident memory."""
    worker = psutil.Process(stack.worker.pid)
    print(f"  {'worker, without its encoders':32} {worker.memory_info().rss / MIB:6.0f} MB")
    for child in worker.children(recursive=True):
        print(f"  {'  an encoder process':32} {child.memory_info().rss / MIB:6.0f} MB")


def grow(stack: Stack, jobs: int = JOBS) -> None:
    """Read the worker's memory while it does mixed jobs: no-ops, texts, pictures, questions and changes of mode."""
    worker = psutil.Process(stack.worker.pid)
    rng = random.Random(1)  # noqa: S311 - the same jobs each time
    sizes = [worker.memory_info().rss]
    with stack.client() as client:
        for part in range(_PARTS):
            if stack.ollama is not None:
                client.set_mode(_MODES[part % len(_MODES)])
            for _ in range(jobs // _PARTS):
                _put(client, rng, questions=stack.ollama is not None)
            sizes.append(worker.memory_info().rss)
    read = ", ".join(f"{size / MIB:.0f}" for size in sizes)
    print(f"  worker, every {jobs // _PARTS} of {jobs} mixed jobs: {read} MB")


def _put(client: Client, rng: random.Random, *, questions: bool) -> None:
    drawn = rng.random()
    if drawn < 0.6:
        client.ping()
    elif drawn < 0.85:
        client.embed_texts([f"a button {rng.getrandbits(64):x}"])
    elif drawn < 0.99 or not questions:
        client.embed_images([Image.frombytes("RGB", _PICTURE, rng.randbytes(3 * _PICTURE[0] * _PICTURE[1]))])
    else:
        image = rng.choice(sorted(samples_folder().glob("*.png")))
        client.ask("What is on this screen?", [image], options={"max_tokens": _MAX_TOKENS})
