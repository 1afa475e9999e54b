"""Ask the VLM: it is loaded if it is not there."""

from typing import Literal

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from singletrack import Client

pytestmark = pytest.mark.ollama


def test_a_question(client: Client) -> None:
    answer = client.ask("What is on the screen?", options={"max_tokens": 20, "temperature": 0})

    assert answer.text
    assert answer.result.model == "singletrack-tiny-vlm"


def test_an_answer_can_be_read_while_it_is_written(client: Client) -> None:
    with client.ask_stream("Tell me a story.", options={"max_tokens": 20}) as stream:
        told = "".join(piece.text for piece in stream)

    assert told == stream.answer.text


def test_a_question_about_images(client: Client) -> None:
    """A path, the bytes of a file, a PIL image, or an array as screen grabbers give it."""
    screenshot = np.zeros((90, 160, 4), np.uint8)
    icon = Image.new("RGB", (32, 32), "navy")

    assert client.ask("Where is this icon?", [screenshot, icon], options={"max_tokens": 20}).text


class Element(BaseModel):
    kind: Literal["button", "icon", "text"]
    enabled: bool


def test_a_question_with_a_schema_is_answered_with_an_instance(client: Client) -> None:
    answer = client.ask("What is this?", [Image.new("RGB", (32, 32))], schema=Element)

    assert answer.value.kind in ("button", "icon", "text")
    assert isinstance(answer.value.enabled, bool)


def test_a_schema_may_be_a_dict(client: Client) -> None:
    assert client.ask("Is it a button?", schema={"type": "boolean"}).value in (True, False)
