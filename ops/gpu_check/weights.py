"""CLIP's weights for the check: those that were named, or random ones of a real size, and tiny ones that load fast."""

import subprocess
import sys
from pathlib import Path

from gpu_check.options import Options
from gpu_check.report import say
from singletrack_ops.embedded.tiny_clip import CONFIG_FILE, LOCAL_DIR, ensure_tiny_clip
from singletrack_ops.errors import OpsError

_PROGRAM = Path(__file__).parent / "programs" / "write_random_clip.py"
_LIMIT_S = 300.0
_ERROR_CHARS = 1500


def prepare(options: Options) -> tuple[str, str]:
    """Return weights of a real size and tiny ones, as SINGLETRACK_CLIP_WEIGHTS names them; raises `OpsError`."""
    if options.simulate and options.weights:
        return options.weights, options.weights
    tiny = ensure_tiny_clip(options.work / "tiny-clip", say)
    if options.weights:
        return options.weights, tiny
    return (tiny if options.simulate else _random_clip(options.work / "random-clip")), tiny


def _random_clip(folder: Path) -> str:
    if not (folder / CONFIG_FILE).exists():
        say("making a ViT-B-32 with random weights")
        made = subprocess.run(
            [sys.executable, "-P", str(_PROGRAM), str(folder)],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        if made.returncode != 0:
            raise OpsError(f"random weights could not be made in {folder}: {made.stderr[-_ERROR_CHARS:]}")
    return f"{LOCAL_DIR}{folder}"
