"""Answers and embeddings, as an agent gets them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from singletrack_tasks.errors import AnswerOutsideSchema
from singletrack_tasks.message import describe_problems
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.requests.embedding import EmbeddingResult
from singletrack_tasks.requests.vlm import AskResult, Cut
from singletrack_tasks.schema import JsonSchema

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """The VLM's answer.

    `value` is an instance of the pydantic model that was given as schema, the parsed JSON if the schema was a dict,
    None without a schema; `result` has the device, the times and the receipts of what was moved.
    """

    text: str
    value: T
    result: AskResult

    @property
    def truncated(self) -> Cut | None:
        """What cut the answer: `max_tokens`, or the end of the `context`; None if it is whole."""
        return self.result.truncated


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of unit length, float32, n x d, one a row in the order of the inputs.

    `cached` of them came from the cache; `device` computed the others, None if there were none. Only embeddings with
    the same `fingerprint` may be compared. `truncated` says for each input whether it was a text longer than CLIP
    reads: its end does not count.
    """

    vectors: Vector
    fingerprint: str
    device: str | None
    cached: int
    results: tuple[EmbeddingResult, ...] = ()
    truncated: tuple[bool, ...] = ()


def answer_to(schema: JsonSchema | type[BaseModel] | None) -> Callable[[AskResult], Answer[Any]]:
    """Choose the function that wraps the answer to a question with this schema."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return partial(answer_as, schema=schema)
    return answer_of


def answer_of(result: AskResult) -> Answer[Any]:
    """Wrap a result as it is."""
    return Answer(result.text, result.value, result)


def answer_as(result: AskResult, schema: type[M]) -> Answer[M]:
    """Wrap a result, its value as a model; raises `AnswerOutsideSchema` with the raw text if it is not valid."""
    try:
        value = schema.model_validate_json(json.dumps(result.value))
    except ValidationError as error:
        problems = describe_problems(schema.__name__, error)
        raise AnswerOutsideSchema(
            f"the model's answer fits the JSON schema, but not the model class. {problems}",
            {"raw_text": result.text},
        ) from error
    return Answer(result.text, value, result)
