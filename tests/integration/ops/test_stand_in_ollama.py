"""The stand-in for Ollama does what the real one does, and its models hold memory that comes and goes with them."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from singletrack_ops.stand_in.card import Misbehaviour, SimulatedCard
from singletrack_ops.stand_in.held import HeldMemory
from singletrack_ops.stand_in.holder import LEFT_FREE_MB
from singletrack_ops.stand_in.memory import MemorySource
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_tasks.errors import JobCancelled, OllamaFailure, VlmUnloadFailed
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.ollama.manager import OllamaManager, OllamaTimeouts
from singletrack_worker.gpu.out_of_memory import is_out_of_memory
from singletrack_worker.gpu.tenants import Vlm, VlmListing
from tests.integration.ops.waiting import wait_for
from tests.unit.gpu.vlm_conformance import ENDLESS, PATIENCE_S, Asking, VlmConformance, put

OURS, THEIRS = "ours:3g", "theirs"
OURS_MB, THEIRS_MB = 3000, 1000
TOTAL_MB, BASE_MB = 8192, 300


@pytest.fixture
def card(tmp_path: Path) -> SimulatedCard:
    return SimulatedCard.make(tmp_path / "card", total_mb=TOTAL_MB, base_mb=BASE_MB)


@pytest.fixture
def server(card: SimulatedCard) -> Iterator[StandInOllama]:
    with StandInOllama({OURS: OURS_MB, THEIRS: THEIRS_MB}, MemorySource(card=card.folder)) as running:
        yield running


def manager(server: StandInOllama, *, unload_timeout_s: float = PATIENCE_S) -> OllamaManager:
    timeouts = OllamaTimeouts(load_s=PATIENCE_S, answer_s=PATIENCE_S, unload_s=unload_timeout_s)
    return OllamaManager(server.url, OURS, clock=SystemClock(), keep_alive_s=600, timeouts=timeouts)


@pytest.fixture
def vlm(server: StandInOllama) -> Iterator[OllamaManager]:
    it = manager(server)
    yield it
    it.close()


class TestConformance(VlmConformance):
    @pytest.fixture(autouse=True)
    def _server(self, server: StandInOllama) -> None:
        self.server = server

    def load_other(self, vlm: Vlm) -> str:
        load_theirs(self.server)
        return f"{THEIRS}:latest"


def load_theirs(server: StandInOllama) -> None:
    body = {"model": THEIRS, "keep_alive": 60}
    requests.post(f"{server.url}/api/generate", json=body, timeout=PATIENCE_S).raise_for_status()


class TestMemory:
    def test_it_comes_with_a_model_and_goes_with_it(
        self, vlm: OllamaManager, server: StandInOllama, card: SimulatedCard
    ) -> None:
        vlm.load()
        (runner,) = card.holdings()
        assert (runner.pid, runner.held_mb, card.used_mb) == (server.models.pids[OURS], OURS_MB, BASE_MB + OURS_MB)
        vlm.unload()
        assert card.used_mb == BASE_MB
        assert not psutil.pid_exists(runner.pid)

    def test_a_model_that_does_not_fit_is_partly_on_the_cpu(self, vlm: OllamaManager, card: SimulatedCard) -> None:
        stranger = HeldMemory(MemorySource(card=card.folder), "stranger", leave_mb=2000)
        vlm.load()
        assert vlm.listing() == VlmListing(OURS_MB, 2000 - LEFT_FREE_MB)
        stranger.end()

    def test_without_room_a_load_may_fail_in_the_words_of_llama_cpp(
        self, vlm: OllamaManager, server: StandInOllama, card: SimulatedCard
    ) -> None:
        server.behaviour.short = "fail"
        stranger = HeldMemory(MemorySource(card=card.folder), "stranger", leave_mb=2000)
        with pytest.raises(OllamaFailure) as caught:
            vlm.load()
        assert is_out_of_memory(caught.value)
        stranger.end()
        vlm.load()

    def test_the_first_question_may_take_more(
        self, vlm: OllamaManager, server: StandInOllama, card: SimulatedCard
    ) -> None:
        server.behaviour.growth_mb = 700
        for _ in range(2):
            put(vlm)
            assert card.used_mb == BASE_MB + OURS_MB + 700

    def test_it_may_come_back_late(self, vlm: OllamaManager, server: StandInOllama, card: SimulatedCard) -> None:
        server.behaviour.free_after_s = 2 * PATIENCE_S
        vlm.load()
        vlm.unload()
        assert vlm.listing() is None
        assert card.used_mb == BASE_MB + OURS_MB

    def test_a_server_that_stops_leaves_nothing(
        self, vlm: OllamaManager, server: StandInOllama, card: SimulatedCard
    ) -> None:
        vlm.load()
        load_theirs(server)
        server.stop()
        assert card.holdings() == ()


class TestModels:
    def test_a_busy_model_is_unloaded_once_it_has_answered(self, vlm: OllamaManager, server: StandInOllama) -> None:
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        wait_for(lambda: is_answering(server), "the model answers")
        impatient = manager(server, unload_timeout_s=0.5)
        with pytest.raises(VlmUnloadFailed):
            impatient.unload()
        impatient.close()
        with pytest.raises(JobCancelled):
            asking.cancel()
        wait_for(lambda: server.loaded == (), "the model is gone")

    def test_a_model_that_dies_breaks_off_its_answer_and_is_loaded_again(
        self, vlm: OllamaManager, server: StandInOllama
    ) -> None:
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        wait_for(lambda: is_answering(server), "the model answers")
        psutil.Process(server.models.pids[OURS]).send_signal(signal.SIGKILL)
        with pytest.raises(OllamaFailure, match="unexpected EOF"):
            asking.result()
        assert put(vlm).text

    def test_a_model_leaves_when_its_time_is_over(self, vlm: OllamaManager, server: StandInOllama) -> None:
        body = {"model": OURS, "keep_alive": 0.1}
        requests.post(f"{server.url}/api/generate", json=body, timeout=PATIENCE_S).raise_for_status()
        wait_for(lambda: vlm.listing() is None, "the model leaves")

    def test_loads_fail_as_often_as_they_are_told_to(self, vlm: OllamaManager, server: StandInOllama) -> None:
        server.behaviour.failing_loads = 2
        for _ in range(2):
            with pytest.raises(OllamaFailure):
                vlm.load()
        vlm.load()

    def test_an_answer_that_was_cut_says_so(self, vlm: OllamaManager) -> None:
        assert put(vlm).truncated is None
        assert put(vlm, options=VlmOptions(max_tokens=3)).truncated == "max_tokens"

    def test_it_has_what_the_doctor_asks_for(self, vlm: OllamaManager) -> None:
        assert (vlm.exists(), vlm.sees_images(), bool(vlm.version())) == (True, True, True)


def is_answering(server: StandInOllama) -> bool:
    return any(model.questions for model in server.models._loaded.values())


class TestCard:
    def test_processes_share_it_and_nobody_gets_more_than_there_is(self, card: SimulatedCard) -> None:
        source = MemorySource(card=card.folder)
        held: list[HeldMemory] = []
        takers = [threading.Thread(target=lambda: held.append(HeldMemory(source, "taker", 3000))) for _ in range(4)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join(PATIENCE_S)
        assert sum(it.had_mb for it in held) == TOTAL_MB - BASE_MB
        assert (card.used_mb, card.free_mb, card.total_mb) == (TOTAL_MB, 0, TOTAL_MB)
        for it in held:
            it.end()
        assert card.used_mb == BASE_MB

    def test_it_can_leak_and_be_late(self, tmp_path: Path) -> None:
        odd = Misbehaviour(leak_mb=100, late_part=0.5, late_s=2 * PATIENCE_S)
        card = SimulatedCard.make(tmp_path, total_mb=TOTAL_MB, base_mb=0, misbehaviour=odd)
        HeldMemory(MemorySource(card=tmp_path), "taker", 2000).end()
        assert card.holdings() == ()
        assert card.used_mb == 100 + 1000
