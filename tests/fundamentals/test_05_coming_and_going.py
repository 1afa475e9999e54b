"""The VLM comes when it is asked, and goes when nobody asks it any more."""

import pytest

from singletrack import Client
from singletrack_tasks.requests.upkeep import Tick
from tests.integration.ops.waiting import wait_for

pytestmark = pytest.mark.ollama


def test_a_question_loads_the_vlm(client: Client) -> None:
    client.set_mode("IDLE")
    client.ensure_vlm_unloaded()
    answer = client.ask("Are you there?", options={"max_tokens": 1})

    assert [receipt.step for receipt in answer.result.receipts][-1] == "load_vlm"
    assert client.status().vlm.state == "loaded"


def test_a_vlm_that_nobody_asks_is_unloaded(client: Client) -> None:
    """Celery beat sends the checks (`Tick`); here, where the timeout is half a second, they are sent by hand."""
    client.ask("Are you there?", options={"max_tokens": 1})
    wait_for(lambda: client.submit(Tick()).result().idle_unloaded, "the VLM is unloaded for being idle")

    assert client.status().vlm.state == "unloaded"
    assert "idle_unload" in [event.kind for _, event in client.events()]


def test_it_can_be_loaded_and_unloaded_by_hand(client: Client) -> None:
    assert client.ensure_vlm_loaded().state == "loaded"
    assert client.ensure_vlm_unloaded().state == "unloaded"
