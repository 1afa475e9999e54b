"""Which models an Ollama server has loaded, and which of them is ours."""

from collections.abc import Sequence

from singletrack_worker.gpu.ollama.http import OllamaHttp
from singletrack_worker.gpu.ollama.replies import Listed, Named, Ps, Tags, full_name
from singletrack_worker.gpu.ports import OtherModel, VlmListing


class LoadedModels:
    """The server's list of loaded models: ours, under any of its names, and the others.

    The digest tells that two names are the same model; it is remembered until `forget_digest`.
    """

    def __init__(self, http: OllamaHttp, model: str) -> None:
        self._http = http
        self._model = model
        self._digest: str | None = None
        self._others: tuple[OtherModel, ...] = ()

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
        ours = [it for it in listed if it.is_called(self._model) or (it.digest and it.digest == digest)]
        self._others = tuple(it.as_other() for it in listed if it not in ours)
        return ours[0].as_ours() if ours else None

    def lists_ours(self) -> bool:
        """Ask for the list and return whether our model is on it; raises as `ours` does."""
        return self.ours() is not None

    def lists_other(self, name: str) -> bool:
        """Ask for the list and return whether another model of that name is on it; raises as `ours` does."""
        self.ours()
        return any(full_name(other.name) == full_name(name) for other in self._others)

    def forget_digest(self) -> None:
        """Find out anew which model our name stands for: it may have been pulled again."""
        self._digest = None

    def _own_digest(self, listed: Sequence[Listed]) -> str | None:
        """Return our model's digest; asks the server for it where only other names are listed."""
        digest = self._digest_among(listed) or self._digest
        if digest is None and any(it.digest for it in listed):
            digest = self._digest_among(self._http.read(Tags, self._http.get("/api/tags")).models)
        self._digest = digest
        return digest

    def _digest_among(self, named: Sequence[Named]) -> str | None:
        return next((it.digest for it in named if it.is_called(self._model) and it.digest), None)
