"""Which models an Ollama server has loaded, and which of them is ours."""

from collections.abc import Sequence

from singletrack_tasks.model_name import is_same_name
from singletrack_worker.gpu.ollama.http import OllamaHttp
from singletrack_worker.gpu.ollama.replies import Listed, Named, Ps, Tags
from singletrack_worker.gpu.tenants import OtherModel, VlmListing


class LoadedModels:
    """The server's list of loaded models: ours, under any of its names, and the others.

    The digest tells that two names are the same model; it is remembered until `forget_digest`.
    """

    def __init__(self, http: OllamaHttp, model: str) -> None:
        self._http = http
        self._model = model
        self._digest: str | None = None
        self._others: tuple[OtherModel, ...] = ()
        self._context_tokens: int | None = None

    @property
    def digest(self) -> str | None:
        """Return our model's digest, as far as it is known."""
        return self._digest

    @property
    def context_tokens(self) -> int | None:
        """Return the context that our model was loaded with, as of the last answer that told."""
        return self._context_tokens

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """Return the other models, as of the last answer."""
        return self._others

    def ours(self) -> VlmListing | None:
        """Ask for the list and return our model's entry, None if it is not on it.

        Raises `OllamaUnreachable`, `OllamaFailure`.
        """
        listed = self._http.read(Ps, self._http.get("/api/ps")).models
        digest = self._own_digest(listed)
        ours = [it for it in listed if self._is_ours(it, digest)]
        self._others = tuple(it.as_other() for it in listed if it not in ours)
        if not ours:
            return None
        # Servers say 0 while they are loading a model.
        self._context_tokens = max(0, ours[0].context_length or 0) or None
        return ours[0].as_ours()

    def lists_ours(self) -> bool:
        """Ask for the list and return whether our model is on it; raises as `ours` does."""
        return self.ours() is not None

    def lists_other(self, name: str) -> bool:
        """Ask for the list and return whether another model of that name is on it; raises as `ours` does."""
        self.ours()
        return any(is_same_name(other.name, name) for other in self._others)

    def forget_digest(self) -> None:
        """Find out anew which model our name stands for: it may have been pulled again."""
        self._digest = None

    def goes_by(self, name: str) -> bool:
        """Return whether a name is one of our model's: by itself, or because the server has one model for both.

        Raises `OllamaUnreachable`, `OllamaFailure`.
        """
        if is_same_name(name, self._model):
            return True
        models = self._models()
        own = _digests(models, self._model)
        return bool(own) and own == _digests(models, name)

    def _is_ours(self, it: Listed, digest: str | None) -> bool:
        return it.digest == digest if it.digest and digest else it.is_called(self._model)

    def _own_digest(self, listed: Sequence[Listed]) -> str | None:
        """Return our model's digest; asks the server for it where the list does not tell.

        It does not where only other names are listed, or where a model that was pulled again is listed twice.
        """
        by_name = _digests(listed, self._model)
        if len(by_name) == 1:
            (self._digest,) = by_name
        elif len(by_name) > 1 or (self._digest is None and any(it.digest for it in listed)):
            self._digest = next(iter(_digests(self._models(), self._model)), None)
        return self._digest

    def _models(self) -> Sequence[Named]:
        return self._http.read(Tags, self._http.get("/api/tags")).models


def _digests(named: Sequence[Named], name: str) -> set[str]:
    return {it.digest for it in named if it.is_called(name) and it.digest}
