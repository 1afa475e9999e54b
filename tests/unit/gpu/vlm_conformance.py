"""What every `Vlm` does, the real one and the fakes: inherit `VlmConformance` and give the fixture `vlm`."""

import json
import threading
import time

import pytest

from singletrack_tasks.errors import JobCancelled
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.judging.verdict import read_answer
from singletrack_worker.gpu.tenants import Vlm, VlmAnswer

BUTTON: JsonSchema = {
    "type": "object",
    "properties": {"kind": {"enum": ["button", "field"]}, "count": {"type": "integer"}},
    "required": ["kind", "count"],
}
# More strings than any model gets through in the time of a test.
ENDLESS: JsonSchema = {"type": "array", "items": {"type": "string"}, "minItems": 100_000}
PATIENCE_S = 60.0


def put(
    vlm: Vlm,
    prompt: str = "What is this?",
    *,
    images: tuple[bytes, ...] = (),
    json_schema: JsonSchema | None = None,
    options: VlmOptions | None = None,
    cancellation: Cancellation | None = None,
) -> VlmAnswer:
    """Ask with the arguments that matter to a test."""
    return vlm.ask(prompt, images, json_schema, options or VlmOptions(), cancellation or Cancellation())


class Asking:
    """A question that is put from a thread of its own; what it ended with is kept."""

    def __init__(self, vlm: Vlm, json_schema: JsonSchema | None = None, images: tuple[bytes, ...] = ()) -> None:
        self.cancellation = Cancellation()
        self.answer: VlmAnswer | None = None
        self.error: BaseException | None = None
        self._vlm = vlm
        self._json_schema = json_schema
        self._images = images
        self._thread = threading.Thread(target=self._ask, daemon=True)  # a failing test must not hang the run
        self._thread.start()

    def result(self) -> VlmAnswer:
        """Wait for the end, and return or raise what it was."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the question did not end"
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer

    def cancel(self) -> VlmAnswer:
        """Cancel it, and return or raise what it ended with."""
        self.cancellation.cancel()
        return self.result()

    def _ask(self) -> None:
        try:
            self.answer = put(
                self._vlm,
                images=self._images,
                json_schema=self._json_schema,
                options=VlmOptions(max_tokens=32_768),
                cancellation=self.cancellation,
            )
        except BaseException as error:  # kept for `result`, which raises it
            self.error = error


class VlmConformance:
    """The tests; `vlm` is not loaded when a test begins."""

    def until_answering(self, vlm: Vlm, asking: Asking) -> None:
        """Wait until a question is under way; an implementation that can tell better says so here."""
        deadline_s = time.monotonic() + PATIENCE_S
        while vlm.listing() is None:
            assert asking.error is None, f"the question ended with {asking.error!r}"
            assert time.monotonic() < deadline_s, "the question never reached the model"

    def load_other(self, vlm: Vlm) -> str:
        """Load another model at the server, as somebody else would; returns the name that it is listed under."""
        raise NotImplementedError

    def test_it_has_a_name(self, vlm: Vlm) -> None:
        assert vlm.model

    def test_what_is_not_loaded_is_not_listed(self, vlm: Vlm) -> None:
        assert vlm.listing() is None

    def test_what_is_loaded_is_listed_with_its_size(self, vlm: Vlm) -> None:
        vlm.load()

        listing = vlm.listing()
        assert listing is not None
        assert listing.size_mb > 0
        assert 0 <= listing.vram_mb <= listing.size_mb

    def test_what_is_unloaded_is_no_longer_listed(self, vlm: Vlm) -> None:
        vlm.load()
        vlm.unload()
        assert vlm.listing() is None

    def test_loading_twice_is_loading(self, vlm: Vlm) -> None:
        vlm.load()
        vlm.load()
        assert vlm.listing() is not None

    def test_unloading_twice_is_unloading(self, vlm: Vlm) -> None:
        vlm.load()
        vlm.unload()
        vlm.unload()
        assert vlm.listing() is None

    def test_it_comes_back(self, vlm: Vlm) -> None:
        for _ in range(3):
            vlm.load()
            assert vlm.listing() is not None
            vlm.unload()
            assert vlm.listing() is None

    def test_a_loaded_model_answers(self, vlm: Vlm) -> None:
        vlm.load()
        assert put(vlm).text

    def test_a_schema_is_kept(self, vlm: Vlm) -> None:
        vlm.load()
        value = read_answer(put(vlm, json_schema=BUTTON).text, BUTTON)
        assert value["kind"] in {"button", "field"}

    def test_answers_are_text_that_json_carries(self, vlm: Vlm) -> None:
        vlm.load()
        text = put(vlm).text
        assert json.loads(json.dumps(text)) == text

    def test_a_question_cancelled_before_it_was_put(self, vlm: Vlm) -> None:
        vlm.load()
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(JobCancelled):
            put(vlm, cancellation=cancellation)

    def test_a_question_cancelled_while_it_is_answered(self, vlm: Vlm) -> None:
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        self.until_answering(vlm, asking)
        with pytest.raises(JobCancelled):
            asking.cancel()

    def test_the_question_after_a_cancelled_one_is_answered(self, vlm: Vlm) -> None:
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        self.until_answering(vlm, asking)
        with pytest.raises(JobCancelled):
            asking.cancel()
        assert put(vlm, json_schema=BUTTON).text

    def test_a_cancellation_that_comes_late_changes_nothing(self, vlm: Vlm) -> None:
        vlm.load()
        asking = Asking(vlm, BUTTON)
        answer = asking.result()
        asking.cancellation.cancel()
        assert asking.answer is answer
        assert put(vlm).text

    def test_ours_is_none_of_the_others(self, vlm: Vlm) -> None:
        vlm.load()
        assert vlm.listing() is not None
        assert vlm.others == ()

    def test_what_somebody_else_loads_is_one_of_the_others_and_none_of_ours(self, vlm: Vlm) -> None:
        name = self.load_other(vlm)
        assert vlm.listing() is None
        (other,) = vlm.others
        assert other.name == name
        assert other.size_mb > 0
        assert 0 <= other.vram_mb <= other.size_mb

    def test_another_model_is_no_longer_listed_once_it_is_unloaded(self, vlm: Vlm) -> None:
        name = self.load_other(vlm)
        vlm.unload_other(name)
        assert vlm.listing() is None
        assert vlm.others == ()

    def test_unloading_another_model_that_is_not_loaded_is_unloading(self, vlm: Vlm) -> None:
        name = self.load_other(vlm)
        vlm.unload_other(name)
        vlm.unload_other(name)
        assert vlm.listing() is None
        assert vlm.others == ()

    def test_unloading_ends_after_a_cancelled_question(self, vlm: Vlm) -> None:
        vlm.load()
        asking = Asking(vlm, ENDLESS)
        self.until_answering(vlm, asking)
        with pytest.raises(JobCancelled):
            asking.cancel()
        vlm.unload()
        assert vlm.listing() is None
