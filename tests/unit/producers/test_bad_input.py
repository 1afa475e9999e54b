"""What is wrong is refused before anything is sent, and the next request works."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from singletrack.client import Client
from singletrack_tasks.errors import (
    ImageTooLarge,
    InvalidImage,
    InvalidRequest,
    InvalidSchema,
    SingletrackError,
)
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.vlm import Ask
from tests.unit.producers.conftest import Backstage
from tests.unit.producers.sample_images import bomb, png


def _cut_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG")
    return buffer.getvalue()[:-200]


def _exploding_images() -> Iterator[Any]:
    """Ten thousand images, the first of which cannot be decoded."""
    yield b"not an image"
    for _ in range(9_999):
        yield png()


class Callback(BaseModel):
    """A model that no JSON schema can describe."""

    call: Callable[[], int]


CASES: dict[str, tuple[type[SingletrackError], Callable[[Client], object]]] = {
    "not an image": (InvalidImage, lambda c: c.ask("what?", [b"not an image"])),
    "not an image, to embed": (InvalidImage, lambda c: c.embed_images([b"not an image"])),
    "cut short": (InvalidImage, lambda c: c.ask("what?", [png()[:-20]])),
    "cut short JPEG": (InvalidImage, lambda c: c.ask("what?", [_cut_jpeg()])),
    "cut short, to embed": (InvalidImage, lambda c: c.embed_images([png()[:-30]])),
    "bomb": (ImageTooLarge, lambda c: c.ask("what?", [bomb()])),
    "bomb, to embed": (ImageTooLarge, lambda c: c.embed_images([bomb()])),
    "no such file": (InvalidImage, lambda c: c.ask("what?", [Path("/no/such/file.png")])),
    "array of floats beyond 1": (InvalidImage, lambda c: c.embed_images([np.full((4, 4, 3), 255.0)])),
    "array of integers": (InvalidImage, lambda c: c.ask("what?", [np.zeros((4, 4, 3), dtype=np.int64)])),
    "a 32-bit image": (InvalidImage, lambda c: c.ask("what?", [Image.new("I", (4, 4), 70_000)])),
    "a number as image": (InvalidImage, lambda c: c.embed_images([7])),  # type: ignore[list-item] # on purpose
    "no images": (InvalidRequest, lambda c: c.embed_images([])),
    "no texts": (InvalidRequest, lambda c: c.embed_texts([])),
    "ten thousand images": (InvalidRequest, lambda c: c.embed_images(_exploding_images())),
    "ten thousand texts": (InvalidRequest, lambda c: c.embed_texts(["a"] * 10_000)),
    "seventeen images": (InvalidRequest, lambda c: c.ask("what?", [b"not an image"] * 17)),
    "a lone path": (InvalidRequest, lambda c: c.embed_images("screen.png")),
    "a lone image": (InvalidRequest, lambda c: c.embed_images(png())),  # type: ignore[arg-type] # on purpose
    "a lone image to ask about": (InvalidRequest, lambda c: c.ask("what?", "screen.png")),
    "a lone text": (InvalidRequest, lambda c: c.embed_texts("a text")),
    "an empty text": (InvalidRequest, lambda c: c.embed_texts([""])),
    "a megabyte of text": (InvalidRequest, lambda c: c.embed_texts(["a" * 1_000_000])),
    "half a character": (InvalidRequest, lambda c: c.embed_texts(["\ud800"])),
    "a number as text": (InvalidRequest, lambda c: c.embed_texts([7])),  # type: ignore[list-item] # on purpose
    "a megabyte of prompt": (InvalidRequest, lambda c: c.ask("a" * 1_000_000)),
    "no prompt": (InvalidRequest, lambda c: c.ask("")),
    "a schema of the wrong type": (InvalidSchema, lambda c: c.ask("what?", schema={"type": "nonsense"})),
    "a schema that is a list": (InvalidSchema, lambda c: c.ask("what?", schema=[])),  # type: ignore[call-overload]
    "a schema that is another class": (InvalidSchema, lambda c: c.ask("what?", schema=int)),  # type: ignore[type-var]
    "a schema that is not JSON": (InvalidSchema, lambda c: c.ask("what?", schema={"const": {1, 2}})),
    "a model that is no schema": (InvalidSchema, lambda c: c.ask("what?", schema=Callback)),
    "an unknown option": (InvalidRequest, lambda c: c.ask("what?", options={"num_ctx": 9})),
    "an option out of range": (InvalidRequest, lambda c: c.ask("what?", options={"temperature": -1})),
    "a mode that is none": (InvalidRequest, lambda c: c.set_mode("TURBO")),
    "no time": (InvalidRequest, lambda c: c.ping(timeout_s=0)),
    "negative time": (InvalidRequest, lambda c: c.ask("what?", timeout_s=-1)),
    "negative time, images": (InvalidRequest, lambda c: c.embed_images([png()], timeout_s=-1)),
    "endless time": (InvalidRequest, lambda c: c.embed_texts(["a"], timeout_s=float("inf"))),
    "time that is no number": (InvalidRequest, lambda c: c.ping(timeout_s=float("nan"))),
    "time that is a bool": (InvalidRequest, lambda c: c.ping(timeout_s=True)),
    "time that is a text": (InvalidRequest, lambda c: c.ping(timeout_s="5")),  # type: ignore[arg-type] # on purpose
    "more than a day": (InvalidRequest, lambda c: c.ping(timeout_s=100_000)),
    "a request that is none": (InvalidRequest, lambda c: c.submit("ping")),  # type: ignore[arg-type] # on purpose
    "an empty job id": (InvalidRequest, lambda c: c.submit(Ping(), job_id="")),
    "a job id with a colon": (InvalidRequest, lambda c: c.submit_mode("IDLE", job_id="a:b")),
    "a job id with a line break": (InvalidRequest, lambda c: c.submit_mode("IDLE", job_id="a\n")),
    "a job id of letters from afar": (InvalidRequest, lambda c: c.submit(Ping(), job_id="é")),
    "a long job id": (InvalidRequest, lambda c: c.submit_ask("what?", [png((7, 7, 7))], job_id="a" * 65)),
    "a job id that is a number": (InvalidRequest, lambda c: c.submit(Ping(), job_id=7)),  # type: ignore[arg-type]
    "a dead letter that is not there": (InvalidRequest, lambda c: c.retry_dead("1-1")),
    "a dead letter of no job": (InvalidRequest, lambda c: c.dead_letter("no such job")),
    "a dead letter to drop that is not there": (InvalidRequest, lambda c: c.drop_dead("9" * 40 + "-1")),
    "a dead letter with no time": (InvalidRequest, lambda c: c.retry_dead("1-1", timeout_s=0)),
    "events since nonsense": (InvalidRequest, lambda c: c.events("yesterday")),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_before_anything_is_sent(client: Client, backstage: Backstage, case: str) -> None:
    error, call = CASES[case]
    before = backstage.traces
    with pytest.raises(SingletrackError) as caught:
        call(client)
    assert type(caught.value) is error
    assert backstage.traces == before
    assert client.ping(timeout_s=20).track == client.track


@pytest.mark.parametrize(("data", "error"), [(b"not an image", InvalidImage), (bomb(), ImageTooLarge)])
def test_what_is_wrong_with_a_file_names_it(
    client: Client, tmp_path: Path, data: bytes, error: type[SingletrackError]
) -> None:
    file = tmp_path / "screen.png"
    file.write_bytes(data)
    for call in (lambda: client.ask("what?", [file]), lambda: client.embed_images([str(file)])):
        with pytest.raises(SingletrackError) as caught:
            call()
        assert type(caught.value) is error
        assert str(caught.value).startswith(f"{file}: ")


def test_too_many_inputs_are_told_to_come_in_chunks(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="chunks of 256"):
        client.embed_images(_exploding_images())


def test_a_request_that_got_round_validation_is_refused_by_the_worker(client: Client) -> None:
    job = client.submit(Ask.model_construct(prompt="", images=(), json_schema=None), timeout_s=20)
    with pytest.raises(InvalidRequest, match="prompt"):
        job.result()
