"""Nobody waits for ever, and what nobody waits for is not done."""

import pytest

from singletrack import Client, JobState, errors
from tests.integration.ops.waiting import wait_for

pytestmark = pytest.mark.ollama

# More than any model says in a few seconds.
ENDLESS = {"type": "array", "items": {"type": "string"}, "minItems": 100_000}


def test_every_operation_has_a_deadline(client: Client) -> None:
    """A job that runs is broken off at it, and one that waits is not started any more."""
    with pytest.raises(errors.DeadlinePassed):
        client.ask("Tell me everything.", schema=ENDLESS, timeout_s=2)

    assert client.ask("Just say hello.", options={"max_tokens": 1}).text


def test_a_job_can_be_sent_and_looked_at_and_cancelled(client: Client) -> None:
    job = client.submit_ask("Tell me everything.", schema=ENDLESS)
    wait_for(lambda: job.state is JobState.RUNNING, "it runs")
    job.cancel()

    with pytest.raises(errors.JobCancelled):
        job.result()
    assert job.state is JobState.CANCELLED


def test_a_job_says_why_it_waits(client: Client) -> None:
    first = client.submit_ask("Tell me everything.", schema=ENDLESS)
    second = client.submit_ask("Just say hello.", options={"max_tokens": 1})
    wait_for(lambda: first.progress.place == 0, "the first has the GPU")

    assert second.progress.place == 1
    assert second.progress.before == ("ask",)
    first.cancel()
    assert second.result().text


def test_a_result_can_be_fetched_later(client: Client) -> None:
    job = client.submit_ask("Just say hello.", options={"max_tokens": 1})

    assert job.result().text
    assert job.state is JobState.DONE
