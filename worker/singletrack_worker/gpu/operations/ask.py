"""Questions to the VLM."""

from collections.abc import Sequence
from typing import Literal

from singletrack_tasks.errors import ImagesUnsupported, OllamaUnreachable, SingletrackError, UnknownModel
from singletrack_tasks.requests.vlm import Ask, AskResult
from singletrack_tasks.text import quoted
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.pictures import question_files
from singletrack_worker.gpu.operations.questions import Answered, Questions
from singletrack_worker.gpu.operations.vlm_on_demand import VlmOnDemand
from singletrack_worker.gpu.turn import Turn


class AskHandler(Handler[Ask, AskResult]):
    """Asks a question, loading the VLM first if necessary (P9), as a visitor if the mode does not want it."""

    recorded = True

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._vlm = VlmOnDemand(bench)
        self._questions = Questions(bench.config, bench.tenants.vlm, bench.clock, bench.stores.answers, bench.judge)

    def run(self, request: Ask, turn: Turn) -> AskResult:
        """Ask; raises `UnknownModel`, `ImagesUnsupported`, the errors of `question_files` and of asking the VLM."""
        self._refuse_other_model(request)
        if request.images:
            self._refuse_blind_model()
        with turn.broken_off_at_deadline():
            images = question_files(self.bench.stores.blobs, request.images, turn.cancellation)
            self._vlm.bring(turn)
            answered = self._ask(request, images, turn)
        self.bench.track.use.touch()
        answer = answered.answer
        return AskResult(
            text=answer.text,
            value=answered.value,
            model=self.bench.tenants.vlm.model,
            device=self._device(),
            prompt_tokens=answer.prompt_tokens,
            answer_tokens=answer.answer_tokens,
            load_s=answer.load_s,
            generate_s=answer.generate_s,
            tries=answered.tries,
            truncated=answer.truncated,
            thought_chars=answer.thought_chars,
            context_tokens=answer.context_tokens,
            **turn.outcome(),
        )

    def _refuse_other_model(self, request: Ask) -> None:
        serves = self.bench.tenants.vlm.model
        if request.model is not None and not self.bench.tenants.vlm.goes_by(request.model):
            raise UnknownModel(
                f"track {self.bench.config.track} serves the VLM {serves}, not {quoted(request.model)}. "
                "Leave the model out, or set SINGLETRACK_VLM_MODEL on the worker.",
                {"serves": serves},
            )

    def _refuse_blind_model(self) -> None:
        """Refuse before anything is moved; a server that cannot be asked now is the load's business."""
        vlm = self.bench.tenants.vlm
        try:
            sees = vlm.sees_images()
        except SingletrackError:
            return
        if sees is False:
            raise ImagesUnsupported.of(vlm.model)

    def _ask(self, request: Ask, images: Sequence[bytes], turn: Turn) -> Answered:
        try:
            return self._questions.ask(request, images, turn)
        except OllamaUnreachable:
            # The status should say so at once, not only after the next tick.
            self.bench.transitions.look()
            raise

    def _device(self) -> Literal["gpu", "cpu", "split", "unknown"]:
        listing = self.bench.track.listing
        if listing is None:
            return "unknown"
        if self.bench.tenants.vram.gpu is None or listing.vram_mb == 0:
            return "cpu"
        return "gpu" if listing.vram_mb >= listing.size_mb else "split"
