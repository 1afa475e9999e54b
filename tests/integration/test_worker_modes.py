"""R1, R2, R3 and R5 with a real worker and a real Ollama, on a simulated GPU."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from PIL import Image

from singletrack import Client, Embeddings
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.stack import Stack
from singletrack_tasks.events import AnyEvent, ClipMigrated, ModeChanged, ResourceChanged, VlmLoaded, VlmUnloaded
from singletrack_tasks.requests.mode import ModeResult
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.requests.vlm import AskResult
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, ModelState
from tests.integration.conftest import CLIP_MB, IDLE_TIMEOUT_S, TOTAL_MB, VLM_MB
from tests.integration.worker_tools import (
    BASE_MB,
    events_since,
    forget_embeddings,
    is_loaded,
    last_event_id,
    load_behind_its_back,
    past,
    unload_behind_its_back,
)

pytestmark = pytest.mark.ollama


@dataclass(frozen=True)
class Seen:
    """What was there after a step, by the word of Ollama, of the encoder, and of the status."""

    loaded: bool
    clip_device: str
    status: GPUResourceStatus

    @classmethod
    def now(cls, client: Client, ollama: EmbeddedOllama) -> "Seen":
        return cls(is_loaded(ollama), client.clip_device(), client.status())

    @property
    def used_mb(self) -> int:
        assert self.status.vram is not None
        return self.status.vram.used_mb


@dataclass(frozen=True)
class Day:
    """One day of an agent: RECORDING, AUTOPILOT with a visitor that grows idle, RECORDING again."""

    recording: ModeResult
    recording_seen: Seen
    autopilot: ModeResult
    autopilot_seen: Seen
    visit: AskResult
    visit_seen: Seen
    tick: TickResult
    tick_seen: Seen
    back: ModeResult
    back_seen: Seen
    embeddings: tuple[Embeddings, Embeddings, Embeddings, Embeddings]
    while_promoting: frozenset[str | None]
    events: list[AnyEvent]


@pytest.fixture(scope="module")
def day(stack: Stack, ollama: EmbeddedOllama) -> Iterator[Day]:
    with stack.client() as client:
        client.set_mode("RECORDING")
        client.set_mode("IDLE")
        client.ensure_vlm_unloaded()
        yield play(client, stack, ollama)


def play(client: Client, stack: Stack, ollama: EmbeddedOllama) -> Day:
    image = Image.effect_noise((64, 48), 80)
    start = last_event_id(client)
    # There is no beat here: this is the check that it would send.
    client.submit(Tick()).result()
    recording = client.set_mode("RECORDING")
    recording_seen = Seen.now(client, ollama)
    on_cpu = client.embed_images([image]), client.embed_texts(["a red button"])
    autopilot, kinds = change_and_watch(client, "AUTOPILOT")
    autopilot_seen = Seen.now(client, ollama)
    forget_embeddings(stack.redis_url, client.track)
    on_gpu = client.embed_images([image]), client.embed_texts(["a red button"])
    visit = client.ask("a question", options={"max_tokens": 1}).result
    visit_seen = Seen.now(client, ollama)
    past(IDLE_TIMEOUT_S)
    tick = client.submit(Tick()).result()
    tick_seen = Seen.now(client, ollama)
    back = client.set_mode("RECORDING")
    return Day(
        recording,
        recording_seen,
        autopilot,
        autopilot_seen,
        visit,
        visit_seen,
        tick,
        tick_seen,
        back,
        Seen.now(client, ollama),
        (*on_cpu, *on_gpu),
        kinds,
        events_since(client, start),
    )


def change_and_watch(client: Client, mode: str) -> tuple[ModeResult, frozenset[str | None]]:
    """Change the mode, and read the status all the while: the kinds of operation that it showed."""
    kinds: set[str | None] = set()
    with ThreadPoolExecutor(1) as pool:
        change = pool.submit(client.set_mode, mode)
        while not change.done():
            operation = client.status().operation
            kinds.add(operation.kind if operation else None)
        return change.result(), frozenset(kinds)


class TestRecording:
    def test_r1_2_the_vlm_is_loaded(self, day: Day) -> None:
        assert day.recording_seen.loaded
        assert [(receipt.step, receipt.ok) for receipt in day.recording.receipts] == [("load_vlm", True)]
        assert (day.recording.before, day.recording.after) == (ExecutionMode.IDLE, ExecutionMode.RECORDING)
        assert (day.recording.vram_before_mb, day.recording.vram_after_mb) == (BASE_MB, BASE_MB + VLM_MB)

    def test_r3_2_clip_has_left_the_gpu_before_the_vlm_starts_to_load(self, day: Day) -> None:
        demote, load = day.back.receipts
        assert (demote.step, load.step) == ("demote_clip", "load_vlm")
        assert (demote.vram_before_mb, demote.vram_after_mb) == (BASE_MB + CLIP_MB, BASE_MB)
        assert (load.vram_before_mb, load.vram_after_mb) == (BASE_MB, BASE_MB + VLM_MB)
        assert day.back_seen.clip_device == "cpu"
        assert day.back_seen.status.clip.gpu_pid is None

    def test_r2_1_the_status_has_every_field_and_they_agree(self, day: Day) -> None:
        status = day.recording_seen.status
        assert status.mode is ExecutionMode.RECORDING
        assert status.vlm.state is ModelState.LOADED
        assert (status.vlm.size_mb, status.vlm.vram_mb, status.vlm.footprint_mb) == (VLM_MB, VLM_MB, VLM_MB)
        assert status.vlm.idle_timeout_s == IDLE_TIMEOUT_S
        assert status.vram is not None
        assert (status.vram.used_mb, status.vram.total_mb) == (BASE_MB + VLM_MB, TOTAL_MB)
        assert status.vram.used_mb + status.vram.free_mb == TOTAL_MB
        assert status.gpu is not None
        assert status.gpu.simulated
        assert status.clip.model is not None
        assert status.clip.device == "cpu"
        assert not status.degraded
        assert status.queue_length == 0


class TestAutopilot:
    def test_r1_1_the_vlm_is_unloaded_and_r1_4_its_memory_is_free(self, day: Day) -> None:
        unload = day.autopilot.receipts[0]
        assert not day.autopilot_seen.loaded
        assert (unload.step, unload.ok) == ("unload_vlm", True)
        assert (unload.vram_before_mb, unload.vram_after_mb) == (BASE_MB + VLM_MB, BASE_MB)

    def test_r1_3_r3_1_clip_is_on_the_gpu(self, day: Day) -> None:
        assert [receipt.step for receipt in day.autopilot.receipts] == ["unload_vlm", "promote_clip"]
        assert day.autopilot_seen.clip_device == "cuda:0"
        assert day.autopilot_seen.status.clip.device == "cuda:0"
        assert day.autopilot_seen.used_mb == BASE_MB + CLIP_MB

    def test_r3_3_embeddings_agree_across_the_migration(self, day: Day) -> None:
        """The cache was emptied between: each device has embedded."""
        pixels, words, pixels_again, words_again = day.embeddings
        assert [made.device for made in day.embeddings] == ["cpu", "cpu", "cuda:0", "cuda:0"]
        assert len({made.fingerprint for made in day.embeddings}) == 1
        assert float(pixels.vectors[0] @ pixels_again.vectors[0]) > 1 - 1e-4
        assert float(words.vectors[0] @ words_again.vectors[0]) > 1 - 1e-4

    def test_r4_2_a_question_loads_the_vlm_as_a_visitor(self, day: Day) -> None:
        assert "load_vlm" in [receipt.step for receipt in day.visit.receipts]
        assert day.visit_seen.loaded

    def test_a_visitor_that_does_not_fit_beside_clip_has_it_step_aside(self, day: Day) -> None:
        assert [receipt.step for receipt in day.visit.receipts] == ["demote_clip", "load_vlm"]
        assert day.visit_seen.clip_device == "cpu"
        assert day.visit_seen.used_mb == BASE_MB + VLM_MB

    def test_r4_1_the_check_sends_an_idle_visitor_away_and_brings_clip_back(self, day: Day) -> None:
        assert day.tick.idle_unloaded
        assert [receipt.step for receipt in day.tick.receipts] == ["unload_vlm", "promote_clip"]
        assert not day.tick_seen.loaded
        assert day.tick_seen.clip_device == "cuda:0"
        assert day.tick_seen.used_mb == BASE_MB + CLIP_MB


class TestMonitoring:
    def test_r2_1_a_status_is_read_while_the_gpu_is_busy(self, day: Day) -> None:
        assert "mode" in day.while_promoting

    def test_r2_2_changes_of_memory_are_told(self, day: Day) -> None:
        changes = [event for event in day.events if isinstance(event, ResourceChanged)]
        assert changes
        assert all(abs(event.after_mb - event.before_mb) >= 100 for event in changes)
        assert all(event.total_mb == TOTAL_MB for event in changes)
        assert changes[-1].after_mb == BASE_MB + VLM_MB

    def test_r2_3_changes_of_mode_are_told_with_their_receipts(self, day: Day) -> None:
        told = [event for event in day.events if isinstance(event, ModeChanged)]
        assert [event.after for event in told] == ["RECORDING", "AUTOPILOT", "RECORDING"]
        assert [event.receipts for event in told] == [day.recording.receipts, day.autopilot.receipts, day.back.receipts]

    def test_every_move_is_told(self, day: Day) -> None:
        moves = [event for event in day.events if isinstance(event, VlmLoaded | VlmUnloaded | ClipMigrated)]
        made = (*day.recording.receipts, *day.autopilot.receipts, *day.visit.receipts, *day.tick.receipts)
        assert [event.receipt for event in moves] == [*made, *day.back.receipts]

    def test_r4_4_the_idle_unload_is_told(self, day: Day) -> None:
        (told,) = [event for event in day.events if event.kind == "idle_unload"]
        assert told.idle_s >= IDLE_TIMEOUT_S
        assert told.receipt == day.tick.receipts[0]


def test_idle_moves_nothing(client: Client, ollama: EmbeddedOllama) -> None:
    client.set_mode("RECORDING")
    assert client.set_mode("IDLE").receipts == ()
    assert is_loaded(ollama)


def test_a_mode_that_is_set_already_is_made_true_again(client: Client, ollama: EmbeddedOllama) -> None:
    client.set_mode("RECORDING")
    unload_behind_its_back(ollama)
    assert [receipt.step for receipt in client.set_mode("RECORDING").receipts] == ["load_vlm"]
    assert is_loaded(ollama)


def test_r4_1_a_vlm_that_is_used_is_not_unloaded(client: Client, ollama: EmbeddedOllama) -> None:
    client.ask("a question", options={"max_tokens": 1})
    assert not client.submit(Tick()).result().idle_unloaded
    assert is_loaded(ollama)


def test_r4_2_a_question_finds_the_vlm_loaded_the_second_time(client: Client) -> None:
    assert [step.step for step in client.ask("one", options={"max_tokens": 1}).result.receipts] == ["load_vlm"]
    assert client.ask("two", options={"max_tokens": 1}).result.receipts == ()


def test_a_check_sends_away_what_somebody_else_loaded_in_autopilot(client: Client, ollama: EmbeddedOllama) -> None:
    client.set_mode("AUTOPILOT")
    load_behind_its_back(ollama)
    client.submit(Tick()).result()
    assert not is_loaded(ollama)


def test_a_check_brings_back_what_somebody_else_unloaded_in_recording(client: Client, ollama: EmbeddedOllama) -> None:
    client.set_mode("RECORDING")
    unload_behind_its_back(ollama)
    result = client.submit(Tick()).result()
    assert [receipt.step for receipt in result.receipts] == ["load_vlm"]
    assert is_loaded(ollama)


def test_r5_1_r5_2_ensure_returns_only_when_it_is_so(client: Client, ollama: EmbeddedOllama) -> None:
    for _ in range(3):
        loaded = client.ensure_vlm_loaded()
        assert is_loaded(ollama)
        assert loaded.state is ModelState.LOADED
        unloaded = client.ensure_vlm_unloaded()
        assert not is_loaded(ollama)
        assert unloaded.state is ModelState.UNLOADED
        assert Seen.now(client, ollama).used_mb == BASE_MB
    assert client.ensure_vlm_unloaded().receipts == ()


def test_a_model_that_vanished_is_brought_back_for_a_question(client: Client, ollama: EmbeddedOllama) -> None:
    client.ensure_vlm_loaded()
    unload_behind_its_back(ollama)
    assert client.ask("a question", options={"max_tokens": 1}).text
    assert is_loaded(ollama)
