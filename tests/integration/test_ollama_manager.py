"""OllamaManager with a real Ollama and a model that is there to be loaded, not to be listened to."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from PIL import Image

from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_tasks.errors import (
    ImagesUnsupported,
    InvalidImage,
    InvalidRequest,
    JobCancelled,
    ModelMissing,
    OllamaFailure,
    OllamaUnreachable,
    PromptTooLong,
    VlmUnloadFailed,
)
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.ollama.manager import OllamaManager, OllamaTimeouts
from singletrack_worker.gpu.retries import retrying
from singletrack_worker.gpu.tenants import Vlm
from tests.integration.worker_tools import alias_of_ours, another_model, load, loaded
from tests.unit.gpu.vlm_conformance import ENDLESS, PATIENCE_S, Asking, VlmConformance, put

pytestmark = pytest.mark.ollama

KEEP_ALIVE_S = 600
BUSY_PERCENT = 20.0
IDLE_PERCENT = 5.0


def manager(ollama: EmbeddedOllama, model: str | None = None, *, unload_timeout_s: float = 30.0) -> OllamaManager:
    return OllamaManager(
        ollama.url,
        model or ollama.model or "",
        clock=SystemClock(),
        keep_alive_s=KEEP_ALIVE_S,
        timeouts=OllamaTimeouts(load_s=300.0, answer_s=300.0, unload_s=unload_timeout_s),
        num_ctx=1024,
    )


def picture(kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "navy").save(file, kind)
    return file.getvalue()


def runners(ollama: EmbeddedOllama) -> list[psutil.Process]:
    """The processes in which the server's models run."""
    assert ollama.child is not None
    found = []
    for process in psutil.Process(ollama.child.pid).children(recursive=True):
        try:
            if "runner" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue  # it ended between the two looks
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"it never came about that {what}"


def wait_until_busy(ollama: EmbeddedOllama) -> None:
    (runner,) = runners(ollama)
    wait_until(lambda: runner.cpu_percent(interval=0.1) > BUSY_PERCENT, "the model is at work")


def wait_until_idle(ollama: EmbeddedOllama) -> None:
    (runner,) = runners(ollama)
    wait_until(lambda: runner.cpu_percent(interval=0.3) < IDLE_PERCENT, "the model rests")


@pytest.fixture
def vlm(ollama: EmbeddedOllama) -> Iterator[OllamaManager]:
    """A manager of the tiny model, which is not loaded."""
    it = manager(ollama)
    it.unload()
    yield it
    it.unload()
    it.close()


class TestConformance(VlmConformance):
    @pytest.fixture(autouse=True)
    def _server(self, ollama: EmbeddedOllama) -> None:
        self.ollama = ollama

    @pytest.fixture(autouse=True)
    def _other_model(self, ollama: EmbeddedOllama) -> Iterator[None]:
        with another_model(ollama) as self.other:
            yield

    def until_answering(self, vlm: Vlm, asking: Asking) -> None:
        wait_until_busy(self.ollama)

    def load_other(self, vlm: Vlm) -> str:
        load(self.ollama, self.other)
        return f"{self.other}:latest"


class TestCancelling:
    def test_the_server_stops_generating(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        wait_until_busy(ollama)
        with pytest.raises(JobCancelled):
            asking.cancel()
        wait_until_idle(ollama)

    def test_what_is_not_cancelled_goes_on(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        """The other half of the proof: the server lets no model go that is at work."""
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        wait_until_busy(ollama)
        impatient = manager(ollama, unload_timeout_s=0.5)
        with pytest.raises(VlmUnloadFailed):
            impatient.unload()
        impatient.close()
        assert vlm.listing() is not None
        with pytest.raises(JobCancelled):
            asking.cancel()
        vlm.unload()
        assert vlm.listing() is None

    def test_a_question_that_is_still_loading_its_model(self, vlm: OllamaManager) -> None:
        asking = Asking(vlm, ENDLESS)
        with pytest.raises(JobCancelled):
            asking.cancel()
        # A load that meets the end of the one that was called off may be lost with it: the worker, too, tries again.
        retrying(SystemClock(), attempts=3, pause_s=0.1, cancellation=Cancellation())(vlm.load)
        assert put(vlm).text


class TestLifeCycle:
    def test_unload_waits_for_a_load_by_somebody_else(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        load = {"model": ollama.model, "keep_alive": 60}
        # Not by a manager, which would rightly complain that what it loaded is gone.
        loading = threading.Thread(
            target=requests.post, args=[f"{ollama.url}/api/generate"], kwargs={"json": load, "timeout": PATIENCE_S}
        )
        loading.start()
        wait_until(lambda: vlm.listing() is not None, "the model begins to load")  # 0.9 lists it from then on
        vlm.unload()
        loading.join(PATIENCE_S)
        assert not loading.is_alive()
        assert vlm.listing() is None

    def test_no_request_makes_the_server_load_anew(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        vlm.load()
        before = [runner.pid for runner in runners(ollama)]
        put(vlm, images=(picture(),), options=VlmOptions(temperature=0.0, max_tokens=3))
        vlm.load()
        assert [runner.pid for runner in runners(ollama)] == before

    def test_an_unloaded_model_has_no_process(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        vlm.load()
        assert runners(ollama)
        vlm.unload()
        wait_until(lambda: not runners(ollama), "the runner is gone")

    @pytest.mark.parametrize("act", [OllamaManager.load, put])
    def test_the_server_keeps_it_for_a_time_and_not_for_ever(
        self, ollama: EmbeddedOllama, vlm: OllamaManager, act: Callable[[OllamaManager], Any]
    ) -> None:
        act(vlm)
        (listed,) = requests.get(f"{ollama.url}/api/ps", timeout=10).json()["models"]
        left_s = (datetime.fromisoformat(listed["expires_at"]) - datetime.now(UTC)).total_seconds()
        assert KEEP_ALIVE_S - PATIENCE_S < left_s <= KEEP_ALIVE_S

    def test_a_question_loads_what_is_not_loaded(self, vlm: OllamaManager) -> None:
        answer = put(vlm)
        assert vlm.listing() is not None
        assert answer.text
        assert answer.load_s is not None
        assert answer.load_s > 0


class TestQuestions:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_an_image_is_read(self, vlm: OllamaManager, kind: str) -> None:
        plain = put(vlm)
        seen = put(vlm, images=(picture(kind),))
        assert seen.prompt_tokens is not None
        assert plain.prompt_tokens is not None
        assert seen.prompt_tokens > plain.prompt_tokens

    @pytest.mark.parametrize(
        "broken", [picture()[:60], b"no image at all", b""], ids=["cut short", "no image", "empty"]
    )
    def test_a_broken_image_is_the_callers_fault(self, vlm: OllamaManager, broken: bytes) -> None:
        with pytest.raises(InvalidImage, match="PNG or JPEG"):
            put(vlm, images=(broken,))
        assert put(vlm, images=(picture(),)).text

    def test_the_length_is_bounded_by_max_tokens_and_a_cut_is_told(self, vlm: OllamaManager) -> None:
        cut = put(vlm, options=VlmOptions(max_tokens=3))
        assert (cut.answer_tokens, cut.truncated, cut.context_tokens) == (3, "max_tokens", 1024)
        assert put(vlm, options=VlmOptions(temperature=0.0)).truncated is None

    def test_a_prompt_that_the_server_cut_is_no_question(self, vlm: OllamaManager) -> None:
        with pytest.raises(PromptTooLong) as caught:
            put(vlm, "x " * 2000, options=VlmOptions(max_tokens=3))
        assert caught.value.details == {"prompt_tokens": 1024, "context_tokens": 1024, "cut": True}

    def test_a_model_that_cannot_think_says_so(self, vlm: OllamaManager) -> None:
        with pytest.raises(InvalidRequest, match="does not support thinking"):
            put(vlm, options=VlmOptions(think=True))
        assert put(vlm, options=VlmOptions(think=False, max_tokens=1)).text

    def test_a_model_that_takes_no_images_is_not_asked_about_them(self, ollama: EmbeddedOllama) -> None:
        with another_model(ollama) as name:
            blind = manager(ollama, name)
            assert blind.sees_images() is False
            with pytest.raises(ImagesUnsupported, match=name):
                put(blind, images=(picture(),))
            assert put(blind, options=VlmOptions(max_tokens=1)).text
            blind.close()

    def test_all_names_of_a_model_are_one(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        vlm.load()
        before = [runner.pid for runner in runners(ollama)]
        for name in (f"library/{ollama.model}", f"registry.ollama.ai/library/{ollama.model}:latest".upper()):
            by_that_name = manager(ollama, name)
            assert by_that_name.listing() is not None
            assert by_that_name.others == ()
            by_that_name.load()
            by_that_name.close()
        assert [runner.pid for runner in runners(ollama)] == before

    def test_it_stops_where_it_is_told(self, vlm: OllamaManager) -> None:
        whole = put(vlm, options=VlmOptions(temperature=0.0)).text
        middle = whole.split()[3]
        cut = put(vlm, options=VlmOptions(temperature=0.0, stop=(middle,))).text
        assert cut == whole.partition(middle)[0]


class TestOthers:
    def test_one_that_answers_somebody_goes_when_it_has_answered(
        self, ollama: EmbeddedOllama, vlm: OllamaManager
    ) -> None:
        with another_model(ollama) as name:
            theirs = manager(ollama, name)
            theirs.load()
            asking = Asking(theirs, ENDLESS)
            wait_until_busy(ollama)
            with pytest.raises(VlmUnloadFailed, match=f"{name} is still loaded.*(answering|did not answer in time)"):
                vlm.unload_other(name)
            with pytest.raises(JobCancelled):
                asking.cancel()
            wait_until(lambda: theirs.listing() is None, "it goes by itself")
            theirs.close()


class TestAliases:
    """The server has one runner for all names of a model, and lists it under one of them."""

    @pytest.fixture(autouse=True)
    def _alias(self, ollama: EmbeddedOllama) -> Iterator[None]:
        with alias_of_ours(ollama) as self.alias:
            yield

    @pytest.fixture
    def theirs(self, ollama: EmbeddedOllama) -> Iterator[OllamaManager]:
        """Somebody else who knows our model by its alias."""
        it = manager(ollama, self.alias)
        yield it
        it.close()

    def test_ours_that_somebody_loaded_by_its_alias_is_loaded(
        self, ollama: EmbeddedOllama, vlm: OllamaManager, theirs: OllamaManager
    ) -> None:
        theirs.load()
        assert loaded(ollama) == [self.alias]
        assert vlm.listing() is not None
        assert vlm.others == ()

    def test_it_is_used_as_it_is(self, ollama: EmbeddedOllama, vlm: OllamaManager, theirs: OllamaManager) -> None:
        theirs.load()
        before = [runner.pid for runner in runners(ollama)]
        vlm.load()
        assert put(vlm, images=(picture(),), options=VlmOptions(max_tokens=3)).text
        assert [runner.pid for runner in runners(ollama)] == before
        assert loaded(ollama) == [self.alias]

    def test_unloading_ours_unloads_it(self, ollama: EmbeddedOllama, vlm: OllamaManager, theirs: OllamaManager) -> None:
        theirs.load()
        vlm.unload()
        assert loaded(ollama) == []
        wait_until(lambda: not runners(ollama), "the runner is gone")

    def test_it_stays_ours_under_whatever_name_other_options_load_it_anew(
        self, ollama: EmbeddedOllama, vlm: OllamaManager
    ) -> None:
        load(ollama, self.alias)
        listed = []
        for act in (lambda: put(vlm), lambda: load(ollama, self.alias), vlm.load, lambda: load(ollama, self.alias)):
            act()
            listed += loaded(ollama)
            assert vlm.listing() is not None
            assert vlm.others == ()
        assert listed == [ollama.model, self.alias] * 2

    def test_another_model_is_none_of_ours_by_its_side(self, ollama: EmbeddedOllama, vlm: OllamaManager) -> None:
        load(ollama, self.alias)
        with another_model(ollama) as name:
            load(ollama, name)
            assert vlm.listing() is not None
            assert [other.name for other in vlm.others] == [f"{name}:latest"]
            vlm.unload_other(name)
        assert loaded(ollama) == [self.alias]


class TestServer:
    def test_it_tells_what_it_is(self, vlm: OllamaManager) -> None:
        assert vlm.version().count(".") >= 2
        assert vlm.exists()
        assert vlm.sees_images() is True

    def test_a_model_that_it_does_not_have(self, ollama: EmbeddedOllama) -> None:
        vlm = manager(ollama, "no-such-model")
        assert not vlm.exists()
        assert vlm.listing() is None
        for act in (vlm.load, lambda: put(vlm)):
            with pytest.raises(ModelMissing, match="`ollama pull no-such-model`"):
                act()
        vlm.unload()
        vlm.close()

    def test_it_dies_and_comes_back(self, tmp_path: Path) -> None:
        with EmbeddedOllama.start_sandbox(tmp_path) as first:
            vlm = manager(first)
            vlm.load()
            asking = Asking(vlm, ENDLESS)
            wait_until_busy(first)
            first.stop()
            with pytest.raises((OllamaFailure, OllamaUnreachable)):
                asking.result()
            for act in (vlm.listing, vlm.load, vlm.unload, lambda: put(vlm)):
                with pytest.raises(OllamaUnreachable, match="ollama serve"):
                    act()
        port = int(first.url.rpartition(":")[2])
        with EmbeddedOllama.start_sandbox(tmp_path, port=port):
            vlm.load()
            assert put(vlm).text
        vlm.close()
