"""The demo's own stack: it uses what the machine has, substitutes the rest, and says what it substituted."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from singletrack_ops.local.http_probe import get_json
from singletrack_ops.local.loopback import free_port
from singletrack_ops.services import METRICS_PORT_SETTING
from singletrack_ops.stack import Stack
from singletrack_tasks.model_name import is_same_name
from singletrack_tasks.ollama_address import DEFAULT_URL, configured_url

_DEFAULT_VLM = "qwen2.5vl:7b"
_PROBE_TIMEOUT_S = 20.0
_TAGS_TIMEOUT_S = 2.0
# Succeeds with an NVIDIA driver that has a GPU. In a process of its own: this package never loads the driver.
_PROBE = "import pynvml; pynvml.nvmlInit(); assert pynvml.nvmlDeviceGetCount()"
# So short that the demo can wait for an idle VLM to be unloaded.
_QUICK = {"SINGLETRACK_IDLE_TIMEOUT_S": "8", "SINGLETRACK_TICK_INTERVAL_S": "2"}
# On 8 GiB these two do not fit together, as on most desktops.
_SIMULATED = {
    "SINGLETRACK_SIMULATED_TOTAL_MB": "8192",
    "SINGLETRACK_SIMULATED_VLM_MB": "6600",
    "SINGLETRACK_SIMULATED_CLIP_MB": "1400",
}
# The user's Redis, metrics port and Flower password are not the demo's.
_NOT_INHERITED = ("SINGLETRACK_REDIS_URL", "SINGLETRACK_METRICS_", "FLOWER_")


def start_own_stack(folder: Path, flower_port: int | None, say: Callable[[str], None]) -> Stack:
    """Start it as `Stack.start` does, and raise what that raises."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    gpu = _has_gpu()
    own_ollama = bool(environ.get("SINGLETRACK_OLLAMA_URL")) or (gpu and _has_model(environ))
    # The sandbox runs on the CPU: its VLM would take no memory on a real GPU.
    simulated = not (gpu and own_ollama)
    # The usual port stays free for the user's own worker.
    settings = _QUICK | {METRICS_PORT_SETTING: str(free_port())}
    return Stack.start(
        folder,
        environ=environ,
        flower_port=flower_port,
        own_ollama=own_ollama,
        allow_sandbox=not own_ollama,
        tiny_clip=True,
        gpu="simulated" if simulated else "auto",
        extra_env=settings | (_SIMULATED if simulated else {}),
        say=say,
    )


def substitutes(stack: Stack) -> Iterator[str]:
    """Say for each part that was substituted, or is missing, what that means for the figures."""
    with stack.client() as client:
        status = client.status()
    if status.gpu is not None and status.gpu.simulated:
        yield f"GPU: a {status.gpu.name}. Its memory is accounted for, but nothing is computed on it."
    if status.clip.model is not None and not status.clip.model.trained:
        yield "CLIP: a tiny untrained model. Sizes and times are real, similarities mean nothing."
    if stack.ollama is None:
        yield "VLM: none (see above), so the day is played degraded."
    elif stack.ollama.model is not None:
        yield "VLM: a tiny untrained model in a real Ollama. Loads and times are real, answers mean nothing."


def _has_gpu() -> bool:
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # a driver that hangs is useless
    return probe.returncode == 0


def _has_model(environ: Mapping[str, str]) -> bool:
    """Whether a running Ollama has the VLM."""
    wanted = environ.get("SINGLETRACK_VLM_MODEL") or _DEFAULT_VLM
    try:
        url = configured_url(environ) or DEFAULT_URL
    except ValueError:
        return False  # whoever starts the stack hears of it
    answer = get_json(f"{url}/api/tags", _TAGS_TIMEOUT_S)
    models = answer.get("models", []) if isinstance(answer, dict) else []
    return any(is_same_name(wanted, str(model.get("name"))) for model in models)
