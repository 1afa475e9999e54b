"""See what the GPU is doing, without waiting for it, and what happened on it."""

import pytest

from singletrack import Client

pytestmark = pytest.mark.ollama


def test_a_status_tells_who_is_where(client: Client) -> None:
    client.set_mode("RECORDING")
    status = client.status()

    assert status.mode == "RECORDING"
    assert status.vlm.state == "loaded"
    assert status.clip.device == "cpu"
    assert status.vram is not None
    assert (status.vram.total_mb, status.vram.used_mb) == (8192, 7300)
    assert status.queue is not None
    assert status.queue.length == 0
    assert status.lease is not None
    assert status.lease.token > 0


def test_a_status_says_what_is_wrong_and_why(client: Client) -> None:
    status = client.status()

    assert not status.degraded
    assert status.reasons == ()


def test_events_tell_what_happened(client: Client) -> None:
    client.set_mode("IDLE")
    client.ensure_vlm_unloaded()
    before = [event_id for event_id, _ in client.events()][-1]
    client.set_mode("RECORDING")

    kinds = [event.kind for _, event in client.events(since=before)]
    assert "vlm_loaded" in kinds
    assert "mode_changed" in kinds


def test_events_can_be_followed(client: Client) -> None:
    client.set_mode("IDLE")
    seen = client.events(follow=True, timeout_s=30)

    assert next(event for _, event in seen if event.kind == "worker_started").pid == client.status().worker.pid
