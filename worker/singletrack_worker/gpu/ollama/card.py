"""What our model can do, as the server describes it."""

from typing import NamedTuple

from singletrack_tasks.errors import OllamaFailure, OllamaRefusal
from singletrack_worker.gpu.ollama.http import REQUEST_TIMEOUT_S, OllamaHttp
from singletrack_worker.gpu.ollama.loaded import LoadedModels
from singletrack_worker.gpu.ollama.replies import Show
from singletrack_worker.gpu.ollama.runner import RunnerSettings


class Room(NamedTuple):
    """The context that a model runs with, and the most of a prompt that it can take, in tokens; None if unknown."""

    context_tokens: int | None
    prompt_tokens: int | None


class ModelCard:
    """The description of our model, asked for once per digest, and each time from a server that sends no digests.

    Its methods raise `OllamaUnreachable` and `ModelMissing`; what a server cannot tell is unknown.
    """

    def __init__(self, http: OllamaHttp, runner: RunnerSettings, loaded: LoadedModels) -> None:
        self._http = http
        self._runner = runner
        self._loaded = loaded
        self._known: dict[str, Show] = {}

    def ask(self) -> Show:
        """Ask the server anew; raises `OllamaFailure` and `OllamaRefusal` as well."""
        return self._http.read(Show, self._http.post("/api/show", {"model": self._runner.model}, REQUEST_TIMEOUT_S))

    def read(self) -> Show:
        """Return the description."""
        digest = self._loaded.digest
        known = None if digest is None else self._known.get(digest)
        if known is None:
            known = self._asked()
            if digest is not None:
                self._known = {digest: known}
        return known

    def sees_images(self) -> bool | None:
        """Return whether the model takes images, None if that is unknown."""
        sees = self.read().sees_images
        if sees is False:
            # The name may stand for another model by now, which nobody loads as long as its questions are refused.
            self._known.clear()
            sees = self.read().sees_images
        return sees

    def room(self) -> Room:
        """Return the context that the model runs with, and what no prompt can exceed."""
        asked_for, longest = self._runner.num_ctx, self.read().context_tokens
        runs_with = self._loaded.context_tokens if asked_for is None else min(asked_for, longest or asked_for)
        return Room(runs_with, runs_with or longest)

    def _asked(self) -> Show:
        try:
            return self.ask()
        except (OllamaFailure, OllamaRefusal):
            return Show()
