"""Answers that are not whole: cut, only thought, to a prompt that was cut, about images that nobody saw."""

from collections.abc import Iterator

import pytest

from singletrack_tasks.errors import ImagesUnsupported, InvalidRequest, OnlyThought, PromptTooLong
from singletrack_tasks.requests.vlm import AskResult, Thinking, VlmOptions
from singletrack_worker.gpu.ollama.manager import OllamaManager, OllamaTimeouts
from tests.unit.gpu.ollama.ollama_script import MIB, Act, Script, SteppedClock, says, streams, word
from tests.unit.gpu.vlm_conformance import put

# A model that was made for a longer context than it is loaded with, which is 4096 here.
LONG = {"general.architecture": "eye", "eye.context_length": 131_072}


def ends(reason: str, *, prompt: int | None = 7, answer: int | None = 9) -> dict[str, object]:
    """The last line of an answer."""
    return word("", done=True, done_reason=reason, prompt_eval_count=prompt, eval_count=answer)


def thinks(text: str) -> dict[str, object]:
    return {"message": {"role": "assistant", "content": "", "thinking": text}, "done": False}


@pytest.fixture
def unsized(script: Script, clock: SteppedClock) -> Iterator[OllamaManager]:
    """A manager that leaves the context to the server."""
    timeouts = OllamaTimeouts(load_s=300.0, answer_s=60.0, unload_s=30.0)
    manager = OllamaManager(script.url, "eye", clock=clock, keep_alive_s=60, timeouts=timeouts)
    yield manager
    manager.close()


class TestCut:
    @pytest.mark.parametrize(
        ("last", "max_tokens", "cut"),
        [
            (ends("stop"), 9, None),
            (ends("stop"), None, None),
            (word("", done=True), 9, None),
            (ends("length"), 9, "max_tokens"),
            (ends("length", answer=None), 9, "max_tokens"),
            (ends("length", prompt=4000, answer=96), 100, "context"),
            (ends("length", prompt=4000, answer=94), None, "context"),
            (ends("length", prompt=4000, answer=50), None, "max_tokens"),
        ],
    )
    def test_an_answer_says_what_cut_it(
        self, script: Script, vlm: OllamaManager, last: dict[str, object], max_tokens: int | None, cut: str | None
    ) -> None:
        script.on("/api/chat", streams(word("half an ans"), last))
        answer = put(vlm, options=VlmOptions(max_tokens=max_tokens))
        assert (answer.text, answer.truncated, answer.context_tokens) == ("half an ans", cut, 4096)

    @pytest.mark.parametrize(
        ("listed", "described", "context_tokens"),
        [({}, {}, None), ({"context_length": 8192}, {}, 8192), ({"context_length": 0}, {}, None), ({}, LONG, None)],
    )
    def test_the_context_is_the_servers_unless_it_is_set(
        self,
        script: Script,
        unsized: OllamaManager,
        listed: dict[str, object],
        described: dict[str, object],
        context_tokens: int | None,
    ) -> None:
        script.on("/api/ps", says({"models": [{"name": "eye:latest", "size": MIB, "size_vram": 0, **listed}]}))
        script.on("/api/show", says({"model_info": described}))
        script.on("/api/chat", streams(word("yes"), ends("stop")))
        assert unsized.listing() is not None
        assert put(unsized).context_tokens == context_tokens

    def test_how_full_the_context_was_is_known_with_all_figures(self) -> None:
        full = AskResult(text="", model="eye", prompt_tokens=600, answer_tokens=168, context_tokens=1024)
        assert full.context_used == 0.75
        for figure in ("prompt_tokens", "answer_tokens", "context_tokens"):
            assert full.model_copy(update={figure: None}).context_used is None

    def test_no_model_runs_with_more_than_it_was_made_for(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/show", says({"model_info": LONG | {"eye.context_length": 2048}}))
        script.on("/api/chat", streams(word("yes"), ends("stop")))
        assert put(vlm).context_tokens == 2048


class TestCutPrompts:
    @pytest.mark.parametrize("tokens", [4096, 5000])
    def test_a_prompt_that_fills_the_context_was_cut(self, script: Script, vlm: OllamaManager, tokens: int) -> None:
        script.on("/api/chat", streams(word("sure"), ends("stop", prompt=tokens)))
        with pytest.raises(PromptTooLong, match=r"4,096 tokens.*SINGLETRACK_VLM_NUM_CTX.*cut it") as caught:
            put(vlm)
        assert caught.value.details == {"prompt_tokens": tokens, "context_tokens": 4096, "cut": True}

    def test_one_that_just_fits_was_not(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(word("sure"), ends("stop", prompt=4095)))
        assert put(vlm).text == "sure"

    def test_without_a_setting_the_model_itself_is_the_limit(self, script: Script, unsized: OllamaManager) -> None:
        script.on("/api/chat", streams(word("sure"), ends("stop", prompt=131_072)))
        assert put(unsized).text == "sure", "nobody knows"
        script.on("/api/show", says({"model_info": LONG}))
        with pytest.raises(PromptTooLong):
            put(unsized)


class TestThinking:
    def test_thoughts_are_counted_and_no_part_of_the_answer(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(thinks("Hm. "), thinks("A button?"), word("A button."), ends("stop")))
        answer = put(vlm)
        assert (answer.text, answer.thought_chars) == ("A button.", 13)

    def test_thoughts_in_the_text_are_counted(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(word("<think>Hm.</think>"), word("\nYes."), ends("stop")))
        answer = put(vlm)
        assert (answer.text, answer.thought_chars) == ("<think>Hm.</think>\nYes.", 18)

    @pytest.mark.parametrize(
        ("pieces", "last", "why"),
        [
            ([thinks("Hm. ")], ends("length"), "9 tokens on thinking.*max_tokens was reached"),
            ([thinks("Hm. "), word(" \n")], ends("stop"), "it stopped by itself"),
            ([word("<think>Hm. "), word("Well, ")], ends("length", prompt=4000, answer=96), "context was full"),
            ([word("\n<think>Hm.</think>\n\n")], ends("stop", answer=None), "some tokens on thinking"),
        ],
    )
    def test_nothing_but_thoughts_is_no_answer(
        self, script: Script, vlm: OllamaManager, pieces: list[object], last: dict[str, object], why: str
    ) -> None:
        script.on("/api/chat", streams(*pieces, last))
        with pytest.raises(OnlyThought, match=f"{why}.*max_tokens.*`think`") as caught:
            put(vlm, options=VlmOptions(max_tokens=9 if last["eval_count"] == 9 else 1000))
        assert caught.value.details["thought_chars"] > 3
        assert "Hm" not in repr(caught.value.args)

    def test_an_empty_answer_without_thoughts_is_an_answer(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/chat", streams(ends("stop")))
        assert put(vlm).text == ""

    @pytest.mark.parametrize("think", [True, False, "low", "medium", "high"])
    def test_whether_to_think_is_part_of_the_question(
        self, script: Script, vlm: OllamaManager, think: Thinking
    ) -> None:
        script.on("/api/chat", streams(word("yes"), ends("stop")))
        put(vlm)
        put(vlm, options=VlmOptions(think=think))
        unsaid, said = script.bodies("/api/chat")
        assert "think" not in unsaid
        assert said["think"] is think or said["think"] == think
        assert "think" not in said["options"]

    @pytest.mark.parametrize("think", ["deeply", 2, "true", ""])
    def test_other_words_for_it_are_refused(self, think: object) -> None:
        with pytest.raises(InvalidRequest, match="think"):
            VlmOptions.build(think=think)


BLIND = says({"capabilities": ["completion"]})
SEEING = says({"capabilities": ["completion", "vision"]})
LISTED_WITH_DIGEST = says({"models": [{"name": "eye:latest", "digest": "d1", "size": MIB, "size_vram": 0}]})


class TestBlindModels:
    def test_a_question_with_images_is_not_put(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/show", BLIND)
        script.on("/api/chat", streams(word("a cat"), ends("stop")))
        with pytest.raises(ImagesUnsupported, match=r"SINGLETRACK_VLM_MODEL.*vision"):
            put(vlm, images=(b"png",))
        assert not script.bodies("/api/chat")
        assert put(vlm).text == "a cat"

    @pytest.mark.parametrize("act", [SEEING, says({}), says({"error": "no such thing"}, 400), says({}, 500)])
    def test_one_that_sees_or_does_not_tell_is_asked(self, script: Script, vlm: OllamaManager, act: Act) -> None:
        script.on("/api/show", act)
        script.on("/api/chat", streams(word("a cat"), ends("stop")))
        assert put(vlm, images=(b"png",)).text == "a cat"

    def test_the_server_is_asked_once_per_digest(self, script: Script, vlm: OllamaManager) -> None:
        script.on("/api/ps", LISTED_WITH_DIGEST)
        script.on("/api/show", SEEING)
        script.on("/api/chat", streams(word("a cat"), ends("stop")))
        assert vlm.listing() is not None
        for _ in range(3):
            put(vlm, images=(b"png",))
        assert len(script.bodies("/api/show")) == 1

    def test_a_name_that_stands_for_a_model_that_sees_now_is_not_refused(
        self, script: Script, vlm: OllamaManager
    ) -> None:
        script.on("/api/ps", LISTED_WITH_DIGEST)
        script.on("/api/show", BLIND, BLIND, SEEING)
        assert vlm.listing() is not None
        assert vlm.sees_images() is False
        assert vlm.sees_images() is True
