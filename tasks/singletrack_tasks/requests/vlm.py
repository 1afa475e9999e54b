"""Questions to the VLM, and its life cycle."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from singletrack_tasks.message import Message
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.requests.request import Request, size_of
from singletrack_tasks.result import OperationResult
from singletrack_tasks.schema import JsonSchema, check_schema
from singletrack_tasks.status import ModelState

MAX_PROMPT_CHARS = 100_000
MAX_IMAGES = 16

# What ended an answer that the model did not end itself.
Cut = Literal["max_tokens", "context"]
StopText = Annotated[str, Field(max_length=1000)]
Thinking = Literal[True, False, "low", "medium", "high"]


class VlmOptions(Message):
    """How the VLM answers, in Ollama's terms; an option that is None is left to the model.

    `think` is for models that can think before they answer: whether to, or how much. Options that would make the server
    reload the model (such as the context size) are settings of the worker, not part of a request.
    """

    temperature: float | None = Field(default=None, ge=0, le=10)
    seed: int | None = None
    top_k: int | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=32_768)
    stop: tuple[StopText, ...] = Field(default=(), max_length=16)
    think: Thinking | None = None


class AskResult(OperationResult):
    """The VLM's answer; `value` is its JSON if there was a schema, `device` where the model ran.

    `load_s` and `generate_s` are the times that the server reports, `tries` how often the model was asked. `truncated`
    tells what cut the answer, None if it is whole; `thought_chars` how much was thought before it, in characters;
    `context_tokens` the size of the context that prompt and answer share, None if the server does not tell.
    """

    text: str
    value: Any = None
    model: str
    device: Literal["gpu", "cpu", "split", "unknown"] = "unknown"
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_s: float | None = None
    generate_s: float | None = None
    tries: int = 1
    truncated: Cut | None = None
    thought_chars: int = 0
    context_tokens: int | None = None

    @property
    def context_used(self) -> float | None:
        """How full the context was at the end, 1 being full; None if that is not known."""
        if not self.context_tokens or self.prompt_tokens is None or self.answer_tokens is None:
            return None
        return (self.prompt_tokens + self.answer_tokens) / self.context_tokens

    @property
    def done(self) -> str:
        """The length of the answer, whether it was cut, and where the model ran."""
        length, unit = (len(self.text), "character") if self.answer_tokens is None else (self.answer_tokens, "token")
        cut = "" if self.truncated is None else f", cut by {self.truncated},"
        return f"answer of {length} {unit}{'' if length == 1 else 's'}{cut} on {self.device}"


class Ask(Request[AskResult], task="gpu.vlm.ask", kind="ask", needs_vlm=True):
    """A question to the VLM: a prompt, up to 16 images, and a JSON schema if the answer has to fit one.

    The images have at most `MAX_REQUEST_PIXELS` pixels in all; one that is named several times counts as often.
    `model` None means the one model that the track serves. With `stream` the worker also publishes the answer piece
    by piece while it is generated.
    """

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS)
    images: tuple[Blob, ...] = Field(default=(), max_length=MAX_IMAGES)
    json_schema: JsonSchema | None = None
    options: VlmOptions = VlmOptions()
    model: str | None = Field(default=None, max_length=1000)
    stream: bool = False

    @field_validator("json_schema", mode="before")
    @classmethod
    def _is_a_schema(cls, schema: object) -> JsonSchema | None:
        return None if schema is None else check_schema(schema)

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Give the sizes of the question."""
        schema = ", with a schema" if data.get("json_schema") is not None else ""
        return f"prompt of {size_of(data, 'prompt')} characters, images={size_of(data, 'images')}{schema}"


class VlmResult(OperationResult):
    """The state of the VLM after a load or an unload."""

    state: ModelState
    model: str

    @property
    def done(self) -> str:
        """The state of the VLM."""
        return f"VLM {self.state}"


class LoadVlm(Request[VlmResult], task="gpu.vlm.load", kind="load_vlm", needs_vlm=True):
    """Load the VLM, and return once it is loaded."""


class UnloadVlm(Request[VlmResult], task="gpu.vlm.unload", kind="unload_vlm", needs_vlm=False):
    """Unload the VLM, and return once it is gone and its memory is free."""
