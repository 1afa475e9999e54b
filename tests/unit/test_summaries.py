"""What logs and Flower show of requests, results and errors: how much it was, and nothing of what it was."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from celery import Celery
from celery.utils.saferepr import saferepr
from kombu.utils.json import dumps

from singletrack_tasks.celery_tasks import TaskReturn, register_one
from singletrack_tasks.errors import AnswerOutsideSchema, InvalidRequest, NotEnoughVram, SingletrackError
from singletrack_tasks.payload.vectors import Vectors
from singletrack_tasks.requests.catalogue import REQUESTS, outline
from singletrack_tasks.requests.embedding import EmbeddingResult, FindClipResult
from singletrack_tasks.requests.intents import IntentResult
from singletrack_tasks.requests.mode import ModeResult
from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import TickResult
from singletrack_tasks.requests.vlm import Ask, AskResult, VlmResult
from singletrack_tasks.result import Degradation, DegradedCode, OperationResult, StepReceipt
from singletrack_tasks.status import ExecutionMode, ModelState
from singletrack_worker.gpu.judging.verdict import read_answer

SECRET = "what-nobody-may-read"
UNLOAD = StepReceipt(step="unload_vlm", ok=True, duration_s=1)
PROMOTE = StepReceipt(step="promote_clip", ok=False, duration_s=1)
NO_OLLAMA = Degradation(code=DegradedCode.OLLAMA_UNREACHABLE, message=SECRET, since_unix_s=0)
VECTORS = Vectors.of(np.zeros((32, 512), dtype=np.float32))

RESULTS: list[tuple[OperationResult, str]] = [
    (
        AskResult(text=SECRET, model="m", device="gpu", answer_tokens=12, duration_s=1.26),
        "answer of 12 tokens on gpu in 1.3 s",
    ),
    (AskResult(text=SECRET, model="m"), f"answer of {len(SECRET)} characters on unknown in 0 ms"),
    (
        AskResult(text=SECRET, model="m", answer_tokens=3, truncated="max_tokens"),
        "answer of 3 tokens, cut by max_tokens, on unknown in 0 ms",
    ),
    (AskResult(text=SECRET, model="m", answer_tokens=1, duration_s=0.2), "answer of 1 token on unknown in 200 ms"),
    (
        ModeResult(
            before=ExecutionMode.RECORDING,
            after=ExecutionMode.AUTOPILOT,
            receipts=(UNLOAD, PROMOTE),
            reasons=(NO_OLLAMA,),
            duration_s=5.2,
        ),
        "RECORDING -> AUTOPILOT in 5.2 s (unload_vlm, promote_clip failed), degraded: ollama_unreachable",
    ),
    (
        EmbeddingResult(vectors=VECTORS, device="cuda:0", fingerprint=SECRET, duration_s=0.2),
        "32 x 512 on cuda:0 in 200 ms",
    ),
    (VlmResult(state=ModelState.LOADED, model="m", duration_s=3), "VLM loaded in 3.0 s"),
    (IntentResult(noted=True, waiting=1, loaded=False), "1 waiting, VLM not loaded in 0 ms"),
    (IntentResult(noted=False, waiting=16, loaded=True), "not noted, 16 waiting, VLM loaded in 0 ms"),
    (TickResult(idle_unloaded=True), "idle VLM unloaded in 0 ms"),
    (TickResult(), "checked in 0 ms"),
    (FindClipResult(device="cpu"), "CLIP on cpu in 0 ms"),
    (PingResult(track="gpu0"), "answered in 0 ms"),
]


def test_every_result_is_among_them() -> None:
    assert {type(result) for result, _ in RESULTS} == {request.RESULT for request in REQUESTS}


@pytest.mark.parametrize(("result", "shown"), RESULTS)
def test_a_result_is_shown_as_its_summary_and_travels_as_itself(result: OperationResult, shown: str) -> None:
    outcome = TaskReturn(result)
    assert saferepr(outcome, 200) == repr(outcome) == shown
    assert json.loads(dumps({"result": outcome})) == {"result": result.dump()}


@pytest.mark.parametrize(
    ("task", "request_", "shown"),
    [
        ("gpu.mode.set", {"mode": "RECORDING"}, "mode=RECORDING"),
        ("gpu.mode.set", {"mode": SECRET}, ""),
        ("gpu.mode.set", {"mode": [SECRET]}, ""),
        (
            "gpu.vlm.ask",
            {"prompt": SECRET, "images": [{}, {}], "json_schema": {}},
            f"prompt of {len(SECRET)} characters, images=2, with a schema",
        ),
        ("gpu.vlm.ask", {"prompt": 5, "images": None}, "prompt of 0 characters, images=0"),
        ("gpu.embed.images", {"images": [SECRET]}, "images=1"),
        ("gpu.embed.texts", {"texts": [SECRET] * 32}, "texts=32"),
        ("gpu.ping", {SECRET: SECRET}, ""),
        ("gpu.vlm.ask", SECRET, ""),
        ("gpu.vlm.ask", None, ""),
        (SECRET, {"prompt": SECRET}, ""),
    ],
)
def test_a_request_is_shown_by_its_size_whoever_made_it(task: str, request_: object, shown: str) -> None:
    assert outline(task, request_) == shown


def test_an_error_is_shown_short_and_without_its_details() -> None:
    error = AnswerOutsideSchema("m " * 1000, {"raw_text": SECRET})
    assert len(repr(error)) < 350
    assert repr(error).endswith("...')")
    assert SECRET not in repr(error)
    short = NotEnoughVram.of("it", needed_mb=5, free_mb=1, freeable_mb=1, total_mb=3)
    assert repr(short) == f"NotEnoughVram({short.message!r})"


def _answer_outside_the_schema() -> None:
    try:
        read_answer(json.dumps(SECRET), {"type": "integer"})
    except ValueError as error:
        raise AnswerOutsideSchema(str(error), {"raw_text": SECRET}) from error


def _request_that_is_wrong() -> None:
    Ask.parse({"prompt": SECRET, "images": SECRET})


@pytest.mark.parametrize("fail", [_answer_outside_the_schema, _request_that_is_wrong])
def test_no_traceback_quotes_what_was_asked_or_answered(fail: Callable[[], None]) -> None:
    """Flower shows the traceback of a task that failed, with every cause."""

    class Failing:
        def run(self, request: Request[Any], job: JobRef) -> Any:
            fail()
            raise AssertionError("it has to fail")

    with Celery("summaries", set_as_current=False) as app:
        register_one(app, Ping, Failing)
        done = app.tasks[Ping.TASK].apply(kwargs={"request": {}})
    assert isinstance(done.result, SingletrackError)
    # Celery's stubs take the text for a traceback.
    traceback = str(done.traceback)
    assert type(done.result).__name__ in traceback
    assert SECRET not in traceback


def test_a_place_in_an_answer_is_named_by_the_schemas_words_alone() -> None:
    number = {"type": "integer"}
    schema = {"type": "object", "properties": {"rows": {"type": "array", "items": {"additionalProperties": number}}}}
    with pytest.raises(ValueError, match=r"^at rows/1/\*: ") as caught:
        read_answer(json.dumps({"rows": [{}, {SECRET: "x"}]}), schema)
    assert SECRET not in str(caught.value)


def test_a_message_that_cannot_be_read_does_not_quote_itself() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Ask.parse({"prompt": SECRET, "images": SECRET})
    assert SECRET not in str(caught.value.__cause__)
