"""A VLM on a server that is not there, with faults on demand."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from singletrack_tasks.errors import (
    JobCancelled,
    ModelMissing,
    OllamaFailure,
    OllamaRefusal,
    OllamaUnreachable,
    VlmUnloadFailed,
)
from singletrack_tasks.model_name import is_same_name
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.tenants import OtherModel, VlmAnswer, VlmListing, Vram, ignore_text
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.fakes.history import History
from tests.fakes.instances import minimal_instance

MODEL = "fake-vlm:1b"
# An answer of more items than this is endless for a test: it ends when it is cancelled, or fails after a while.
_ENDLESS_ITEMS = 1000
_PATIENCE_S = 30.0


@dataclass
class VlmFaults:
    """What goes wrong at the server: states that last, and counts of calls that fail from now on.

    `cpu_mb` is put on the CPU and listed so, `silent_cpu_mb` is put there and not listed so. `release_delay_s` is
    how late the driver gives memory back after an unload.
    """

    down: bool = False
    refuses: bool = False
    unreachable_calls: int = 0
    model_missing: bool = False
    load_failures: int = 0
    vanishes_after_load: int = 0
    unload_failures: int = 0
    ask_failures: int = 0
    bad_answers: int = 0
    guest_stays: int = 0
    cpu_mb: int = 0
    silent_cpu_mb: int = 0
    release_delay_s: float = 0.0


class FakeVlm:
    """A VLM on a server of its own, which outlives workers; like Ollama it puts on the CPU what does not fit.

    `size_mb` is what the server lists, `overhead_mb` what the driver sees beside it. Times are in seconds.
    """

    def __init__(
        self,
        vram: Vram,
        clock: Clock,
        history: History | None = None,
        *,
        size_mb: int = 5600,
        overhead_mb: int = 0,
        ask_s: float = 1.0,
    ) -> None:
        self.faults = VlmFaults()
        self.history = history or History(clock)
        self.sees: bool | None = True
        self.answers: list[str] = []
        self.prompts: list[str] = []
        self.size_mb, self.overhead_mb = size_mb, overhead_mb
        self.load_s, self.ask_s = 2.0, ask_s
        self._vram, self._clock = vram, clock
        self._listing: VlmListing | None = None
        self.taken_mb = 0
        # What was not given back yet: when it will be, how much it is, and whether the worker asked for it.
        self._late: list[tuple[float, int, bool]] = []
        self._guests: dict[str, OtherModel] = {}
        self._others: tuple[OtherModel, ...] = ()
        if isinstance(vram, SimulatedGpu):
            vram.add_tenant("vlm", lambda: self.held_mb)
            vram.add_tenant("guests", lambda: sum(guest.vram_mb for guest in self._guests.values()))

    @property
    def model(self) -> str:
        """The name of the model."""
        return MODEL

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """The guests, as of the last look."""
        return self._others

    @property
    def guests(self) -> tuple[str, ...]:
        """The names of the other models that are really loaded."""
        return tuple(self._guests)

    @property
    def listed(self) -> bool:
        """Whether the model is really loaded, whoever asks and whatever the network does."""
        return self._listing is not None

    @property
    def held_mb(self) -> int:
        """What the driver sees of it, with what it has not given back yet (MiB)."""
        now = self._clock.monotonic()
        return self.taken_mb + sum(mb for due_s, mb, _ in self._late if due_s > now)

    @property
    def owed_mb(self) -> int:
        """What the driver has not given back of what the worker unloaded (MiB)."""
        now = self._clock.monotonic()
        return sum(mb for due_s, mb, asked in self._late if asked and due_s > now)

    def goes_by(self, name: str) -> bool:
        """By its own name only."""
        return is_same_name(name, MODEL)

    def sees_images(self) -> bool | None:
        """Whether it was made to see."""
        self._reach()
        return self.sees

    def listing(self) -> VlmListing | None:
        """What the server lists."""
        with self.history.deed("vlm", "listing"):
            self._reach()
            self._others = tuple(self._guests.values())
            return self._listing

    def load(self) -> None:
        """Load the model, or fail as told."""
        with self.history.deed("vlm", "load") as deed:
            self._reach()
            self._find_model()
            self._clock.sleep(self.load_s)
            if self._take("load_failures"):
                raise OllamaFailure("the server failed to load the model, as it was told to")
            self.load_by_somebody()
            if self._take("vanishes_after_load"):
                deed.error = "vanished"
                self.evict()

    def unload(self) -> None:
        """Unload the model; the memory may come back late."""
        with self.history.deed("vlm", "unload"):
            self._reach()
            if self._take("unload_failures"):
                raise VlmUnloadFailed("the model is still listed, as it was told to")
            self._let_go(asked=True)

    def unload_other(self, name: str) -> None:
        """Unload a guest."""
        with self.history.deed("vlm", "unload_other"):
            self._reach()
            if self._take("guest_stays"):
                raise VlmUnloadFailed(f"{name} is still listed, as it was told to")
            self.guest_leaves(name)

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None] = ignore_text,
    ) -> VlmAnswer:
        """Answer, loading the model first if need be, as the server does."""
        with self.history.deed("vlm", "ask"):
            self._reach()
            self._find_model()
            self.prompts.append(prompt)
            if self._take("ask_failures"):
                raise OllamaFailure("the answer broke off, as it was told to")
            self.load_by_somebody()
            self._clock.sleep(self.ask_s)
            _go_on_until_cancelled(json_schema, cancellation)
            text = "this is no JSON" if self._take("bad_answers") else _answer(prompt, json_schema)
            self.answers.append(text)
            for word in text.split(" "):
                on_text(word if text.startswith(word) else f" {word}")
            return VlmAnswer(text, prompt_tokens=len(prompt), answer_tokens=len(text), generate_s=self.ask_s)

    def close(self) -> None:
        """Nothing is held."""

    def load_by_somebody(self) -> None:
        """Load the model as another client of the server would; takes the memory that there is."""
        if self._listing is not None:
            return
        # Totals cannot tell the memory of this one from that of one that went before it and is late.
        self.owe_nothing()
        vram = self._vram.read()
        room_mb = 0 if vram is None else max(0, vram.free_mb - self.overhead_mb)
        # A server puts whole layers on the GPU, and leaves it alone where there is room for next to nothing.
        on_gpu_mb = min(self.size_mb - self.faults.cpu_mb, room_mb if room_mb > self.size_mb // 10 else 0)
        self._listing = VlmListing(self.size_mb, on_gpu_mb)
        self.taken_mb = max(0, on_gpu_mb + self.overhead_mb - self.faults.silent_cpu_mb) if on_gpu_mb else 0

    def guest_comes(self, name: str, size_mb: int = 1000) -> None:
        """Load another model as another client of the server would; what finds no room is on the CPU."""
        vram = self._vram.read()
        self._guests[name] = OtherModel(name, size_mb, vram_mb=min(size_mb, 0 if vram is None else vram.free_mb))

    def guest_leaves(self, name: str) -> None:
        """Let another model go."""
        if self._guests.pop(name, None) is not None:
            self.owe_nothing()

    def evict(self) -> None:
        """Let the model go, as another client, the keep-alive or a crash of the server would."""
        self._let_go(asked=False)

    def owe_nothing(self) -> None:
        """Take no more account of what is late, since nobody could tell any more: a new worker, another's memory."""
        self._late = [(due_s, mb, False) for due_s, mb, _ in self._late]

    def _let_go(self, *, asked: bool) -> None:
        if self._listing is not None:
            self._late.append((self._clock.monotonic() + self.faults.release_delay_s, self.taken_mb, asked))
            self._listing, self.taken_mb = None, 0

    def _reach(self) -> None:
        if self.faults.down or self._take("unreachable_calls"):
            raise OllamaUnreachable("no server answers, as it was told to")
        if self.faults.refuses:
            raise OllamaRefusal("the server wants a password, as it was told to")

    def _find_model(self) -> None:
        if self.faults.model_missing:
            raise ModelMissing(f"the server does not have {MODEL}: run `ollama pull {MODEL}`")

    def _take(self, fault: str) -> bool:
        """Use up one of the calls that are to fail."""
        left: int = getattr(self.faults, fault)
        setattr(self.faults, fault, max(0, left - 1))
        return left > 0


def _go_on_until_cancelled(json_schema: JsonSchema | None, cancellation: Cancellation) -> None:
    woken = threading.Event()
    cancellation.on_cancel(woken.set)
    try:
        if json_schema is not None and json_schema.get("minItems", 0) > _ENDLESS_ITEMS and not woken.wait(_PATIENCE_S):
            raise OllamaFailure("an answer without an end was not cancelled")
    finally:
        cancellation.on_cancel(None)
    if cancellation.cancelled:
        raise JobCancelled("the question was cancelled")


def _answer(prompt: str, json_schema: JsonSchema | None) -> str:
    return f"an answer to: {prompt}" if json_schema is None else json.dumps(minimal_instance(json_schema))
