"""`make bench`: measure everything on a stack of its own, with a simulated GPU."""

import tempfile
from pathlib import Path

from benchmarks import installation, memory, mode_change, observing, question, round_trip, status_read
from singletrack_ops.stack import Stack


def main() -> None:
    """Print one block for each benchmark."""
    with tempfile.TemporaryDirectory(prefix="singletrack-bench-") as name:
        folder = Path(name)
        with Stack.start(
            folder / "stack", with_flower=False, allow_sandbox=True, tiny_clip=True, gpu="simulated"
        ) as stack:
            print("Memory at rest")
            memory.run(stack)
            print("No-op round trip")
            round_trip.run(stack, folder)
            print("A question")
            question.run(stack)
            print("Mode changes")
            mode_change.run(stack)
            print("The status")
            status_read.run(stack)
            print("What it costs to be seen")
            observing.run(stack, folder)
            print("Memory after many jobs")
            memory.grow(stack)
        print("Bare installation")
        installation.run(folder)


if __name__ == "__main__":
    main()
