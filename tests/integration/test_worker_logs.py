"""The log of a real worker: lines that can be read by machines, and nothing in them that is nobody's business."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from singletrack_ops import services
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child
from singletrack_tasks.errors import SingletrackError
from tests.integration.worker_tools import running_worker, worker_environ

SECRET = "my-bank-password"
NO_WEIGHTS = "local-dir:/no/such/folder"
pytestmark = pytest.mark.ollama


def entries(log: str) -> list[dict[str, Any]]:
    """The entries of a log; what Celery prints at its start is none."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_entries_say_what_they_are_of_and_hold_no_payload(
    redis_url: str, ollama: EmbeddedOllama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    start = services._start_celery

    def start_at_level(name: str, folder: Path, env: Mapping[str, str], _level: str) -> Child:
        return start(name, folder, env, f"--loglevel={level}")

    monkeypatch.setattr(services, "_start_celery", start_at_level)
    environ = worker_environ(redis_url, "logs", ollama, gpu="simulated", clip_weights="local-dir:/no/such/folder")
    with running_worker(tmp_path / "worker", environ) as (worker, client):
        asked = client.submit_ask(f"{SECRET}, what?", options={"max_tokens": 3}, timeout_s=60)
        text = asked.result().text
        with pytest.raises(SingletrackError):
            client.embed_texts([SECRET])
        moved = client.submit_mode("RECORDING", timeout_s=60)
        moved.result()
    log = worker.log_path.read_text()
    told = entries(log)
    assert any(entry["level"] == level for entry in told)
    assert {entry["track"] for entry in told} == {"logs"}
    assert {entry["action"] for entry in told if entry.get("job_id") == asked.id} == {"ask"}
    assert {entry["action"] for entry in told if entry.get("job_id") == moved.id} == {"mode"}
    assert SECRET not in log
    assert len(text) < 8 or text not in log
    assert redis_url.partition("@")[0] not in log
