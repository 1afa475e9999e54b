"""The replies of an Ollama server, as far as they matter here."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from singletrack_tasks.model_name import is_same_name
from singletrack_tasks.requests.vlm import Cut
from singletrack_worker.gpu.tenants import OtherModel, VlmAnswer, VlmListing

_MIB = 1024 * 1024
_NS_PER_S = 1_000_000_000
# A server may stop a little before the context is full.
_SLACK_TOKENS = 8

# Ollama's integers have 64 bits; longer ones are too large for arithmetic with fractions.
_Int = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Bytes = Annotated[int, Field(ge=0, lt=2**63)]


class Named(BaseModel):
    """A model's name at the server; names with the same digest are the same model. Some servers send no digest."""

    name: str
    digest: str | None = None

    def is_called(self, name: str) -> bool:
        """Return whether this is its name, in whatever form."""
        return is_same_name(self.name, name)


class Listed(Named):
    """A loaded model; sizes in bytes, `size_vram` is the part of `size` that is on GPUs, `context_length` in tokens.

    Older servers do not tell the context. The server runs a model once whatever its names, and lists it under the name
    it was loaded by.
    """

    size: _Bytes
    size_vram: _Bytes
    context_length: _Int | None = None

    def as_ours(self) -> VlmListing:
        """Return its sizes, as those of our model."""
        return VlmListing(_mb(self.size), _mb(self.size_vram))

    def as_other(self) -> OtherModel:
        """Return it as another model than ours."""
        return OtherModel(self.name, _mb(self.size), _mb(self.size_vram))


class Ps(BaseModel):
    """The loaded models."""

    models: list[Listed]


class Tags(BaseModel):
    """The models that the server has, by name."""

    models: list[Named]


class Done(BaseModel):
    """The reply to a load or an unload."""

    done: bool


class Show(BaseModel):
    """What a model can do; older servers do not say. `model_info` has the longest context that it was made for."""

    capabilities: list[str] | None = None
    model_info: dict[str, Any] | None = None

    @property
    def sees_images(self) -> bool | None:
        """Whether it takes images, None if that is not said."""
        return None if self.capabilities is None else "vision" in self.capabilities

    @property
    def context_tokens(self) -> int | None:
        """The longest context that it can be given, None if that is not said."""
        info = self.model_info or {}
        longest = info.get(f"{info.get('general.architecture')}.context_length")
        return longest if isinstance(longest, int) and longest > 0 else None


class Version(BaseModel):
    """The server's version."""

    version: str


class Text(BaseModel):
    """A piece of an answer, or of the thoughts before it."""

    content: str = ""
    thinking: str | None = None


class Chunk(BaseModel):
    """One line of a streamed answer; the last one is `done` and has the figures, its durations in ns."""

    error: Any = None
    message: Text = Text()
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: _Int | None = None
    eval_count: _Int | None = None
    load_duration: _Int | None = None
    eval_duration: _Int | None = None

    @property
    def used_tokens(self) -> int:
        """How much of the context prompt and answer take."""
        return (self.prompt_eval_count or 0) + (self.eval_count or 0)

    def cut_by(self, max_tokens: int | None, context_tokens: int | None) -> Cut | None:
        """Return what cut the answer, as this last line tells; None if the model ended it."""
        if self.done_reason != "length":
            return None
        spent = max_tokens is not None and (self.eval_count is None or self.eval_count >= max_tokens)
        # The Modelfile may set a limit, too: then there is room left.
        room = context_tokens is not None and self.used_tokens + _SLACK_TOKENS < context_tokens
        return "max_tokens" if spent or room else "context"

    def answer(self, text: str, **more: Any) -> VlmAnswer:
        """Return the whole text with the figures of this last line, and more."""
        return VlmAnswer(
            text=text,
            prompt_tokens=self.prompt_eval_count,
            answer_tokens=self.eval_count,
            load_s=_seconds(self.load_duration),
            generate_s=_seconds(self.eval_duration),
            **more,
        )


def _mb(size_bytes: int) -> int:
    return round(size_bytes / _MIB)


def _seconds(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / _NS_PER_S
