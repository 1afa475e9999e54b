"""Questions: held to their schema, asked once more, tried again after lost connections."""

import pytest

from singletrack_tasks.errors import AnswerOutsideSchema, JobCancelled, ModelMissing, OllamaFailure, OllamaUnreachable
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask
from singletrack_worker.gpu.hold import Permit, Undisputed
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.operations.questions import Answered, Questions
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from singletrack_worker.settings import GPUResourceConfig
from tests.fakes import FakeClock, FakeJudge, FakeVlm, MemoryAnswers

SCHEMA = {"type": "object", "properties": {"kind": {"enum": ["button"]}}, "required": ["kind"]}
QUESTION = Ask(prompt="what is this?", json_schema=SCHEMA)


class Interview:
    """A VLM to ask, and a clock to watch."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.vlm = FakeVlm(SimulatedGpu(8192), self.clock, ask_s=0.0)
        self.answers = MemoryAnswers()
        reasons = Reasons(self.clock.time, lambda *_: None)
        self.turn = Turn(JobRef("j-1"), QUESTION, self.clock, reasons, Permit(Undisputed(), self.clock), lambda: None)
        self.cancellation = self.turn.cancellation
        self.questions = Questions(
            GPUResourceConfig(retry_pause_s=1.0), self.vlm, self.clock, self.answers, FakeJudge()
        )

    def put(self, question: Ask = QUESTION) -> Answered:
        """Ask."""
        return self.questions.ask(question, [], self.turn)

    @property
    def pauses_s(self) -> list[float]:
        """The pauses between tries."""
        return [pause_s for pause_s in self.clock.slept_s if pause_s]


def test_an_answer_that_fits_is_parsed() -> None:
    answered = Interview().put()
    assert (answered.value, answered.tries) == ({"kind": "button"}, 1)


def test_without_a_schema_any_text_is_an_answer() -> None:
    interview = Interview()
    interview.vlm.faults.bad_answers = 1
    answered = interview.put(Ask(prompt="what is this?"))
    assert (answered.answer.text, answered.value, answered.tries) == ("this is no JSON", None, 1)


def test_an_answer_outside_the_schema_is_asked_for_once_more() -> None:
    interview = Interview()
    interview.vlm.faults.bad_answers = 1
    answered = interview.put()
    assert (answered.value, answered.tries) == ({"kind": "button"}, 2)
    first, second = interview.vlm.prompts
    assert first == QUESTION.prompt
    assert second.startswith(QUESTION.prompt)
    assert "did not fit the required JSON schema" in second


def test_twice_outside_the_schema_gives_the_raw_text() -> None:
    interview = Interview()
    interview.vlm.faults.bad_answers = 2
    with pytest.raises(AnswerOutsideSchema) as outside:
        interview.put()
    assert outside.value.raw_text == "this is no JSON"
    assert len(interview.vlm.prompts) == 2


@pytest.mark.parametrize(
    ("fault", "error"), [("ask_failures", OllamaFailure), ("unreachable_calls", OllamaUnreachable)]
)
def test_what_may_pass_is_tried_three_times_with_growing_pauses(fault: str, error: type[Exception]) -> None:
    interview = Interview()
    setattr(interview.vlm.faults, fault, 3)
    with pytest.raises(error):
        interview.put()
    assert interview.pauses_s == [1.0, 2.0]
    assert getattr(interview.vlm.faults, fault) == 0


def test_a_connection_that_comes_back_is_no_error() -> None:
    interview = Interview()
    interview.vlm.faults.unreachable_calls = 2
    assert interview.put().tries == 1


def test_what_stays_wrong_is_not_tried_again() -> None:
    interview = Interview()
    interview.vlm.faults.model_missing = True
    with pytest.raises(ModelMissing):
        interview.put()
    assert interview.pauses_s == []


def test_a_cancelled_question_is_not_tried_again() -> None:
    interview = Interview()
    interview.vlm.faults.unreachable_calls = 3
    interview.clock.on_sleep = interview.cancellation.cancel
    with pytest.raises(JobCancelled):
        interview.put()
    assert interview.vlm.faults.unreachable_calls == 2


def test_an_answer_is_told_while_it_is_written() -> None:
    interview = Interview()
    interview.put(Ask(prompt="two words", stream=True))
    pieces = interview.answers.pieces["j-1"]
    assert "".join(text for _, text in pieces) == "an answer to: two words"
    assert len(pieces) > 1
    assert interview.answers.flushed == ["j-1"]
    assert interview.turn.operation.answer_tokens == len(pieces)


def test_an_answer_that_nobody_reads_is_not_told() -> None:
    interview = Interview()
    interview.put(Ask(prompt="two words"))
    assert interview.answers.pieces == {}
    assert interview.answers.flushed == []


def test_a_question_that_is_put_again_is_told_from_its_beginning() -> None:
    interview = Interview()
    interview.vlm.faults.bad_answers = 1
    interview.put(QUESTION.model_copy(update={"stream": True}))
    pieces = interview.answers.pieces["j-1"]
    assert [attempt for attempt, _ in pieces] == sorted(attempt for attempt, _ in pieces)
    assert {attempt for attempt, _ in pieces} == {1, 2}
    assert interview.turn.retries == 1
