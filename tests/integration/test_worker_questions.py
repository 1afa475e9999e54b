"""Questions: answers that fit, answers that do not, and answers that nobody waits for any more."""

import io
import re
from contextlib import suppress
from typing import Literal

import numpy as np
import psutil
import pytest
from PIL import Image
from pydantic import BaseModel

from singletrack import Client, Job, JobState
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.stack import Stack
from singletrack_tasks.errors import (
    AnswerOutsideSchema,
    DeadlinePassed,
    InvalidRequest,
    InvalidSchema,
    JobCancelled,
    PromptTooLong,
    UnknownModel,
)
from singletrack_tasks.requests.vlm import Ask, AskResult
from singletrack_tasks.schema import JsonSchema
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import ENDLESS, alias_of_ours, submit_endless, wait_until_quiet

pytestmark = pytest.mark.ollama


# Within its budget; its pattern goes back and forth for longer than anybody waits. Ollama breaks off an answer that
# has one token thirty times in a row.
COSTLY = {"enum": ["a" * 20 + "!"], "pattern": "^(a|a|a|a|a|a)*$"}


class Button(BaseModel):
    kind: Literal["button", "icon"]
    enabled: bool


def test_an_answer_has_the_figures_of_the_server(client: Client) -> None:
    answer = client.ask("What is this?", options={"max_tokens": 5})
    assert answer.text.strip()
    result = answer.result
    assert result.prompt_tokens
    assert result.answer_tokens
    assert result.generate_s is not None
    assert result.device == "gpu"
    assert result.tries == 1


def test_an_answer_is_read_while_it_is_written(client: Client) -> None:
    long = {"type": "array", "items": {"type": "boolean"}, "minItems": 60, "maxItems": 60}
    with client.ask_stream("Toss a coin.", schema=long, timeout_s=300) as stream:
        first = next(iter(stream))
        rest = list(stream)
    assert len(rest) > 1
    assert first.text + "".join(piece.text for piece in rest) == stream.answer.text
    assert {piece.attempt for piece in (first, *rest)} == {1}
    assert len(stream.answer.value) == 60


def test_what_is_cut_says_so(client: Client) -> None:
    with client.ask_stream("What is this?", options={"max_tokens": 3, "temperature": 0}) as stream:
        assert "".join(piece.text for piece in stream).strip()
    assert stream.answer.truncated == "max_tokens"
    assert client.ask("What is this?", options={"temperature": 0}).truncated is None
    with pytest.raises(PromptTooLong, match="SINGLETRACK_VLM_NUM_CTX") as caught:
        client.ask("x " * 3000, options={"max_tokens": 1})
    assert caught.value.details["context_tokens"] == 2048


def test_leaving_an_answer_breaks_it_off(client: Client, ollama: EmbeddedOllama) -> None:
    with client.ask_stream("Write.", schema=ENDLESS, timeout_s=60) as stream:
        next(iter(stream))
        wait_for(lambda: stream.job.state is JobState.RUNNING, "the status shows it while it is read")
    with pytest.raises(JobCancelled):
        stream.job.result()
    wait_until_quiet(ollama)


def test_a_job_says_what_it_is_at_and_why_it_waits(client: Client) -> None:
    running = submit_endless(client)
    waiting = client.submit_ask("What?", options={"max_tokens": 1}, timeout_s=60)
    wait_for(lambda: (at := running.progress.operation) is not None and (at.answer_tokens or 0) > 5, "it writes")
    at = running.progress
    assert (at.place, at.before) == (0, ())
    assert at.operation is not None
    assert at.operation.stage == "generate"
    behind = waiting.progress
    assert (behind.place, behind.before, behind.loads_vlm) == (1, ("ask",), False)
    running.cancel()
    waiting.result()
    assert waiting.progress.place is None


def test_images_of_every_kind_are_seen(client: Client) -> None:
    image = Image.new("RGB", (64, 48), "navy")
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG")
    without = client.ask("What?", options={"max_tokens": 1}).result.prompt_tokens
    with_images = client.ask(
        "What?",
        [image, np.zeros((48, 64, 4), np.uint8), jpeg.getvalue()],
        options={"max_tokens": 1},
    ).result.prompt_tokens
    assert without is not None
    assert with_images is not None
    assert with_images > without


def test_an_answer_fits_its_schema(client: Client) -> None:
    answer = client.ask("What is this?", schema=Button)
    assert isinstance(answer.value, Button)
    assert client.ask("How many?", schema={"type": "boolean"}).value in (True, False)


def test_an_answer_outside_its_schema_is_an_error_that_has_it(client: Client) -> None:
    """Ollama's grammar knows nothing of `not`: what the server lets through is caught here."""
    with pytest.raises(AnswerOutsideSchema) as caught:
        client.ask("Say a", schema={"enum": ["a"], "not": {"const": "a"}})
    assert caught.value.raw_text.strip() == '"a"'
    assert "twice" in str(caught.value)
    assert client.ask("Go on", options={"max_tokens": 1}).text


@pytest.mark.parametrize("bound", [{"maxLength": 10**9}, {"pattern": "^((((a{1,99}){1,99}){1,99}){1,99})$"}])
def test_a_bound_that_no_answer_reaches_does_not_hold_up_the_server(client: Client, bound: JsonSchema) -> None:
    """Ollama would write a rule for each repetition until its memory is used up."""
    schema = {"anyOf": [{"type": "boolean"}, {"type": "string", **bound}]}
    with suppress(AnswerOutsideSchema):
        client.ask("What?", schema=schema, options={"max_tokens": 20}, timeout_s=60)


@pytest.mark.parametrize("pattern", ["^(?=a)a$", "^(?:a|b){2}$", "(?i)^a$", "^{a}$", "^[\\]]$", "^(a|)?$"])
def test_no_pattern_ends_the_server(client: Client, pattern: str) -> None:
    with suppress(AnswerOutsideSchema, InvalidSchema):
        client.ask("What?", schema={"type": "string", "pattern": pattern}, options={"max_tokens": 20})
    assert client.ask("Go on", options={"max_tokens": 1}).text


def test_a_schema_that_the_server_cannot_use_is_its_callers_error(client: Client) -> None:
    itself_first = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}, "$ref": "#/$defs/a"}
    with pytest.raises(InvalidSchema, match="server cannot use"):
        client.ask("What?", schema=itself_first)


def test_a_schema_that_costs_too_much_is_an_error_and_the_worker_goes_on(client: Client) -> None:
    job, _ = submit_costly(client)
    seen = client.status().taken_unix_s
    wait_for(lambda: client.status().taken_unix_s > seen + 2, "the status goes on")
    with pytest.raises(InvalidSchema, match="costs too much"):
        job.result()
    assert client.ask("the next", schema=Button, timeout_s=300).value


def test_a_costly_schema_is_broken_off_at_its_deadline(client: Client) -> None:
    client.ensure_vlm_loaded()
    before = client.status().worker
    with pytest.raises(DeadlinePassed):
        client.ask("Say a", schema=COSTLY, timeout_s=6)
    assert client.ask("the next", schema=Button, timeout_s=300).value
    assert client.status().worker == before


def test_a_costly_schema_is_broken_off_by_cancel(client: Client) -> None:
    job, judge = submit_costly(client)
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result()
    wait_for(lambda: not judge.is_running(), "the judge is gone")
    assert client.ask("the next", schema=Button, timeout_s=300).value


def test_a_schema_beyond_its_budget_is_refused_by_the_worker_too(client: Client) -> None:
    many = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(5_000)}}
    sent = Ask.model_construct(prompt="what?", images=(), json_schema=many)
    with pytest.raises(InvalidSchema, match="more than 1000 values"):
        client.submit(sent, timeout_s=300).result()


def submit_costly(client: Client) -> tuple[Job[AskResult], psutil.Process]:
    """Ask what is answered at once and takes for ever to check; returns while the judge is at it."""
    client.ask("to have a judge", schema=Button, timeout_s=300)
    children = psutil.Process(client.status().worker.pid).children()
    (judge,) = [child for child in children if "singletrack_worker.gpu.judging.program" in child.cmdline()]
    spent_s = judge.cpu_times().user
    job = client.submit_ask("Say a", schema=COSTLY, timeout_s=300)
    wait_for(lambda: not judge.is_running() or judge.cpu_times().user > spent_s + 0.2, "the judge is at it")
    return job, judge


def test_another_model_is_refused_by_name(client: Client, ollama: EmbeddedOllama) -> None:
    with pytest.raises(UnknownModel, match=f"serves the VLM {ollama.model}, not 'gpt-x'"):
        client.ask("hello", model="gpt-x")
    assert ollama.model
    for name in (ollama.model, f"registry.ollama.ai/library/{ollama.model.upper()}:latest"):
        assert client.ask("hello", model=name, options={"max_tokens": 1}).text
    with alias_of_ours(ollama) as alias:
        assert client.ask("hello", model=alias, options={"max_tokens": 1}).text


def test_an_option_that_is_none_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="num_ctx"):
        client.ask("hello", options={"num_ctx": 4096})


def test_a_running_answer_is_broken_off_by_cancel(client: Client, ollama: EmbeddedOllama) -> None:
    job = submit_endless(client)
    running = job.state
    assert running is JobState.RUNNING
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result()
    assert job.state is JobState.CANCELLED
    wait_until_quiet(ollama)
    answer = client.ask("the next", options={"max_tokens": 1})
    assert answer.result.receipts == ()


def test_a_running_answer_is_broken_off_at_its_deadline(client: Client, ollama: EmbeddedOllama) -> None:
    client.ensure_vlm_loaded()
    job = submit_endless(client, timeout_s=5)
    with pytest.raises(DeadlinePassed):
        job.result()
    wait_until_quiet(ollama)
    # Of the worker and its caller, either may be the first to see that the time is up.
    wait_for(lambda: job.state in (JobState.EXPIRED, JobState.CANCELLED), "the worker has ended it")
    assert client.ask("the next", options={"max_tokens": 1}).text


def test_a_job_that_waited_past_its_deadline_is_not_started(client: Client) -> None:
    first = submit_endless(client)
    late = client.submit_ask("too late", timeout_s=0.3)
    with pytest.raises(DeadlinePassed):
        late.result()
    first.cancel()
    client.ping()  # one at a time, in order: by now the late job has had its turn
    told = late._sender.look(late.id).error
    assert isinstance(told, DeadlinePassed | JobCancelled)
    assert re.search("was not started|before it started", str(told))


def test_a_job_that_was_cancelled_in_the_queue_is_not_started(client: Client) -> None:
    first = submit_endless(client)
    second = client.submit_mode("RECORDING")
    second.cancel()
    assert second.state is JobState.CANCELLED
    first.cancel()
    with pytest.raises(JobCancelled):
        second.result()
    assert client.status().mode == "IDLE"


def test_a_client_that_is_gone_does_not_stop_the_next(client: Client, stack: Stack) -> None:
    with stack.client() as other:
        job = submit_endless(other)
        job.cancel()
    assert client.ping().track == "shared"
