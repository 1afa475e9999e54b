"""The replies of an Ollama server, as far as they matter here."""

from typing import Any

from pydantic import BaseModel, NonNegativeInt

from singletrack_tasks.model_name import is_same_name
from singletrack_worker.gpu.tenants import OtherModel, VlmAnswer, VlmListing

_MIB = 1024 * 1024
_NS_PER_S = 1_000_000_000


class Named(BaseModel):
    """A model's name at the server; names with the same digest are the same model. Some servers send no digest."""

    name: str
    digest: str | None = None

    def is_called(self, name: str) -> bool:
        """Return whether this is its name, in whatever form."""
        return is_same_name(self.name, name)


class Listed(Named):
    """A loaded model; sizes in bytes, `size_vram` is the part of `size` that is on GPUs.

    The server runs a model once whatever its names, and lists it under the name it was loaded by.
    """

    size: NonNegativeInt
    size_vram: NonNegativeInt

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
    """What a model can do; older servers do not say."""

    capabilities: list[str] | None = None


class Version(BaseModel):
    """The server's version."""

    version: str


class Text(BaseModel):
    """A piece of an answer."""

    content: str = ""


class Chunk(BaseModel):
    """One line of a streamed answer; the last one is `done` and has the figures, its durations in ns."""

    error: Any = None
    message: Text = Text()
    done: bool = False
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    load_duration: int | None = None
    eval_duration: int | None = None

    def answer(self, text: str) -> VlmAnswer:
        """Return the whole text with the figures of this last line."""
        return VlmAnswer(
            text=text,
            prompt_tokens=self.prompt_eval_count,
            answer_tokens=self.eval_count,
            load_s=_seconds(self.load_duration),
            generate_s=_seconds(self.eval_duration),
        )


def _mb(size_bytes: int) -> int:
    return round(size_bytes / _MIB)


def _seconds(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / _NS_PER_S
