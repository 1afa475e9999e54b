"""Errors say what to do, and arrive as themselves."""

import pytest

from singletrack import Client, errors
from singletrack_ops.stack import Stack

pytestmark = pytest.mark.ollama


def test_what_is_wrong_with_a_request_is_told_before_it_is_sent(client: Client) -> None:
    with pytest.raises(errors.InvalidRequest, match="mode"):
        client.set_mode("TURBO")
    with pytest.raises(errors.InvalidImage, match="not an image in a supported format"):
        client.ask("What is this?", [b"not an image"])


def test_what_the_worker_refuses_arrives_as_itself(client: Client) -> None:
    with pytest.raises(errors.UnknownModel, match="Leave the model out") as caught:
        client.ask("hello", model="another")

    assert caught.value.details == {"serves": "singletrack-tiny-vlm"}
    assert caught.value.kind == "permanent"


def test_an_answer_that_does_not_fit_its_schema_is_kept(client: Client) -> None:
    """Ollama's grammar does not know `not`, so that this is a schema that no answer can fit."""
    with pytest.raises(errors.AnswerOutsideSchema) as caught:
        client.ask("hello", schema={"enum": ["a"], "not": {"const": "a"}})

    assert caught.value.raw_text.strip() == '"a"'


def test_a_track_without_a_worker_says_how_to_start_one(stack: Stack) -> None:
    with (
        Client(stack.redis_url, "nobody-home", worker_grace_s=0.1) as client,
        pytest.raises(errors.NoWorker, match="celery -A singletrack_worker worker"),
    ):
        client.ping()


def test_one_handler_can_tell_what_is_worth_another_try(client: Client) -> None:
    assert issubclass(errors.OllamaUnreachable, errors.TransientError)
    assert issubclass(errors.NotEnoughVram, errors.CapacityError)
    assert issubclass(errors.ModelMissing, errors.PermanentError)
