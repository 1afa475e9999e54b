"""Say what the agent is doing, and the GPU is made ready for it."""

import pytest

from singletrack import Client, ExecutionMode

pytestmark = pytest.mark.ollama


def test_recording_wants_the_vlm_on_the_gpu(client: Client) -> None:
    result = client.set_mode("RECORDING")

    assert result.after is ExecutionMode.RECORDING
    assert not result.degraded
    assert client.clip_device() == "cpu"


def test_a_mode_change_comes_with_the_receipt_of_what_was_moved(client: Client) -> None:
    client.set_mode(ExecutionMode.RECORDING)
    result = client.set_mode(ExecutionMode.AUTOPILOT)

    unload, promote = result.receipts
    assert (unload.step, unload.ok) == ("unload_vlm", True)
    assert (promote.step, promote.ok) == ("promote_clip", True)
    # The figures are the driver's, read after each step: 'unloaded' means that the memory is back.
    assert (unload.vram_before_mb, unload.vram_after_mb) == (7300, 300)
    assert promote.vram_after_mb == 1400
    assert client.clip_device() == "cuda:0"


def test_idle_moves_nothing(client: Client) -> None:
    assert client.set_mode("IDLE").receipts == ()
