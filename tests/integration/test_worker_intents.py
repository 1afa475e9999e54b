"""Announced needs of the VLM, with a real worker and a real Ollama."""

import asyncio

import pytest

from singletrack import AsyncClient, Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.events import VlmIntentEnded, VlmLoaded
from singletrack_tasks.requests.upkeep import Tick
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import events_since, is_loaded, last_event_id

pytestmark = pytest.mark.ollama

YES_OR_NO = {"enum": ["yes", "no"]}
# Later than a load and a check take on a machine that is busy with others.
FAR_S = 300.0


def ends(client: Client, since: str) -> list[str]:
    return [event.outcome for event in events_since(client, since) if isinstance(event, VlmIntentEnded)]


@pytest.mark.parametrize("mode", ["RECORDING", "IDLE"])
def test_the_vlm_is_there_when_the_question_comes(client: Client, ollama: EmbeddedOllama, mode: str) -> None:
    client.set_mode(mode)
    client.ensure_vlm_unloaded()
    since = last_event_id(client)
    announced = client.announce_vlm(in_s=0, for_s=120).result()
    assert (announced.noted, announced.waiting, announced.loaded) == (True, 1, True)
    assert is_loaded(ollama)
    answer = client.ask("is it there?", schema=YES_OR_NO)
    assert answer.result.receipts == ()
    assert ends(client, since) == ["served"]
    status = client.status().intents
    assert (status.waiting, status.ended["served"] >= 1) == (0, True)
    assert status.saved_s > 0
    assert sum(isinstance(event, VlmLoaded) for event in events_since(client, since)) == 1


def test_a_check_loads_what_is_due_and_nothing_before(client: Client, ollama: EmbeddedOllama) -> None:
    client.ensure_vlm_loaded()
    client.ensure_vlm_unloaded()
    assert not client.announce_vlm(in_s=FAR_S, for_s=60).result().loaded
    client.submit(Tick()).result()
    assert not is_loaded(ollama)
    assert client.status().intents.waiting == 1
    needed_unix_s = client.status().intents.needed_unix_s
    assert needed_unix_s is not None
    assert 0 < needed_unix_s - client.status().taken_unix_s <= FAR_S
    lead_s = client.status().durations_s["load_vlm"] + 1 + 0.5
    client.announce_vlm(in_s=lead_s + 2, for_s=120).result()

    def checked() -> bool:
        client.submit(Tick()).result()
        return is_loaded(ollama)

    wait_for(checked, "a check loads the VLM")
    assert client.status().intents.waiting == 1


def test_in_autopilot_clip_keeps_its_place(client: Client, ollama: EmbeddedOllama) -> None:
    client.ensure_vlm_loaded()
    client.set_mode("AUTOPILOT")
    since = last_event_id(client)
    announced = client.announce_vlm(in_s=0, for_s=120).result()
    client.submit(Tick()).result()
    assert (announced.noted, announced.loaded) == (True, False)
    assert announced.reasons == ()
    assert not is_loaded(ollama)
    assert client.clip_device() == "cuda:0"
    client.ask("is it there?", schema=YES_OR_NO)
    assert ends(client, since) == ["missed"]


def test_a_need_ends_by_withdrawal_and_by_a_change_of_mode(client: Client, ollama: EmbeddedOllama) -> None:
    client.ensure_vlm_loaded()
    client.ensure_vlm_unloaded()
    since = last_event_id(client)
    client.announce_vlm(in_s=FAR_S)
    assert client.withdraw_vlm().result().noted
    assert not client.withdraw_vlm().result().noted
    client.announce_vlm(in_s=FAR_S)
    with Client(client._settings.redis_url, client.track) as other:
        assert other.announce_vlm(in_s=FAR_S).result().waiting == 2
        client.set_mode("AUTOPILOT")
        assert other.withdraw_vlm().result().waiting == 0
    assert ends(client, since) == ["withdrawn", "dropped", "dropped"]
    assert not is_loaded(ollama)


def test_asyncio_announces_as_well(client: Client) -> None:
    async def announce_and_withdraw() -> tuple[bool, bool]:
        async with AsyncClient(client._settings.redis_url, client.track) as other:
            announced = await (await other.announce_vlm(in_s=FAR_S)).result()
            return announced.noted, (await (await other.withdraw_vlm()).result()).noted

    assert asyncio.run(announce_and_withdraw()) == (True, True)


@pytest.mark.parametrize(
    "times", [{"in_s": -1}, {"in_s": 601}, {"for_s": 0}, {"for_s": float("inf")}, {"in_s": "soon"}]
)
def test_times_out_of_bounds_are_refused_before_anything_is_sent(client: Client, times: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(times))):
        client.announce_vlm(**times)
