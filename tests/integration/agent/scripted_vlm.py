"""A real worker whose Ollama answers from the truth about the sample screens, or wrong as a test says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from singletrack import Client
from singletrack_ops.stand_in.mishaps import Unreliable
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_ops.stand_in.sighted import Sighted
from singletrack_ops.stand_in.truth import Truth
from tests.integration.worker_tools import running_worker, worker_environ

SAMPLES = Path(__file__).parents[3] / "ops" / "samples"
MODEL = "scripted-vlm:7b"
_VLM_MB = 3000


@dataclass(frozen=True)
class ScriptedVlm:
    """The worker's client, its Ollama, and what that says."""

    client: Client
    server: StandInOllama
    answers: Unreliable


@contextmanager
def scripted_vlm(
    folder: Path,
    redis_url: str,
    track: str,
    tiny_clip: Path,
    *,
    names: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[ScriptedVlm]:
    """Start the server, which knows elements by `names` too, and the worker; `settings` are the worker's."""
    answers = Unreliable(Sighted(Truth.read(SAMPLES), names))
    with StandInOllama({MODEL: _VLM_MB}, answerer=answers) as server:
        environ = worker_environ(
            redis_url,
            track,
            None,
            **{
                "ollama_url": server.url,
                "vlm_model": MODEL,
                "clip_weights": f"local-dir:{tiny_clip}",
                "retry_pause_s": 0.05,
                "simulated_total_mb": 8192,
                "simulated_vlm_mb": _VLM_MB,
                "simulated_clip_mb": 1100,
            }
            | settings,
        )
        with running_worker(folder, environ) as (_, client):
            yield ScriptedVlm(client, server, answers)
