"""Models that somebody else loads at the real Ollama, with a real worker that is to report them, or to unload them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_tasks.events import DriftChanged
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.status import ModelState
from tests.integration.worker_tools import (
    alias_of_ours,
    another_model,
    events_since,
    is_loaded,
    last_event_id,
    load,
    loaded,
    past,
    running_worker,
    unload,
    worker_environ,
)

pytestmark = pytest.mark.ollama

TICK_INTERVAL_S = 0.5


@pytest.fixture
def their_model(ollama: EmbeddedOllama) -> Iterator[str]:
    """Another model, which nobody has loaded yet."""
    with another_model(ollama) as name:
        yield name


@pytest.fixture(scope="module", params=["report", "unload"])
def client(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    ollama: EmbeddedOllama,
    tiny_clip: Path,
) -> Iterator[Client]:
    """A client of a worker on a simulated GPU."""
    environ = worker_environ(
        redis_url,
        f"drift-{request.param}",
        ollama,
        gpu="simulated",
        clip_weights=f"local-dir:{tiny_clip}",
        foreign_models=request.param,
        idle_timeout_s=60,
        tick_interval_s=TICK_INTERVAL_S,
    )
    with running_worker(tmp_path_factory.mktemp(request.param), environ) as (_, client):
        client.ensure_vlm_unloaded()
        yield client


def check(client: Client, times: int = 1) -> None:
    """Send the checks that beat would send."""
    for _ in range(times):
        client.submit(Tick()).result()


def names(client: Client) -> list[str]:
    """What the status has of drift."""
    return [drift.name for drift in client.status().drift]


def told(client: Client, since: str) -> list[tuple[str, str, bool]]:
    """What the events tell of drift."""
    events = events_since(client, since)
    return [(it.drift.what, it.drift.name, it.over) for it in events if isinstance(it, DriftChanged)]


@pytest.mark.parametrize("client", ["report"], indirect=True)
class TestReport:
    def test_it_is_told_once_when_it_comes_and_once_when_it_is_gone(
        self, client: Client, ollama: EmbeddedOllama, their_model: str
    ) -> None:
        since, name = last_event_id(client), f"{their_model}:latest"
        load(ollama, their_model)
        check(client)
        assert names(client) == [name]
        check(client, 3)
        assert told(client, since) == [("foreign_model", name, False)]
        unload(ollama, their_model)
        check(client)
        assert names(client) == []
        assert told(client, since) == [("foreign_model", name, False), ("foreign_model", name, True)]

    def test_it_has_memory_of_the_simulated_gpu_which_is_not_told_again(
        self, client: Client, ollama: EmbeddedOllama, their_model: str
    ) -> None:
        load(ollama, their_model)
        for _ in range(3):
            past(TICK_INTERVAL_S)
            check(client)
        (drift,) = client.status().drift
        assert drift.what == "foreign_model"
        assert drift.vram_mb is not None
        assert drift.vram_mb >= 1

    def test_a_day_of_our_own_is_no_drift(self, client: Client) -> None:
        check(client)
        since = last_event_id(client)
        for mode in ("RECORDING", "AUTOPILOT", "IDLE", "RECORDING", "AUTOPILOT"):
            client.set_mode(mode)
            check(client)
            past(TICK_INTERVAL_S)
            check(client)
        client.ask("a question", options={"max_tokens": 1})
        check(client)
        client.ensure_vlm_unloaded()
        check(client, 2)
        assert names(client) == []
        assert told(client, since) == []


@pytest.mark.parametrize("client", ["unload"], indirect=True)
class TestUnload:
    def test_it_is_told_and_gone_after_one_check(
        self, client: Client, ollama: EmbeddedOllama, their_model: str
    ) -> None:
        since, name = last_event_id(client), f"{their_model}:latest"
        load(ollama, their_model)
        check(client)
        assert loaded(ollama) == []
        assert names(client) == []
        assert told(client, since) == [("foreign_model", name, False), ("foreign_model", name, True)]

    def test_ours_stays(self, client: Client, ollama: EmbeddedOllama) -> None:
        client.set_mode("RECORDING")
        check(client, 2)
        assert is_loaded(ollama)
        assert names(client) == []
        client.set_mode("AUTOPILOT")


class TestAlias:
    """A copy of our model is our model, under both settings."""

    def test_ours_by_another_name_is_loaded_used_and_unloaded(self, client: Client, ollama: EmbeddedOllama) -> None:
        client.set_mode("IDLE")
        client.ensure_vlm_unloaded()
        check(client)
        since = last_event_id(client)
        with alias_of_ours(ollama) as alias:
            load(ollama, alias)
            check(client, 2)
            assert client.status().vlm.state is ModelState.LOADED
            assert client.ask("a question", options={"max_tokens": 1}).result.text
            check(client)
            assert loaded(ollama) == [alias]
            client.ensure_vlm_unloaded()
            assert loaded(ollama) == []
            assert client.status().vlm.state is ModelState.UNLOADED
        assert names(client) == []
        assert told(client, since) == []
