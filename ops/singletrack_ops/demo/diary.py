"""The demo's diary: what was done, with what outcome, and which expectations held."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from singletrack import Answer, Embeddings
from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.requests.embedding import FindClipResult
from singletrack_tasks.requests.vlm import AskResult
from singletrack_tasks.result import OperationResult, StepReceipt
from singletrack_tasks.status import GPUResourceStatus

R = TypeVar("R")


@dataclass(frozen=True)
class DiaryEntry:
    """One request of the agent; times in seconds: `waited_s` in the queue, `turn_s` with the GPU, `total_s` in all."""

    mode: str
    kind: str
    device: str
    waited_s: float | None
    turn_s: float | None
    total_s: float
    outcome: str
    jobs: int
    receipts: tuple[StepReceipt, ...] = ()


@dataclass(frozen=True)
class Expectation:
    """Something that must hold, and whether it did."""

    text: str
    met: bool


class Diary:
    """Prints each operation with its receipts, and each expectation, and keeps them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.mode = "IDLE"
        self.operations: list[DiaryEntry] = []
        self.expectations: list[Expectation] = []

    def chapter(self, title: str, text: str) -> None:
        """Begin a chapter."""
        self._console.print()
        self._console.print(Text.assemble((title, "bold"), f"  {text}"))

    def say(self, text: str) -> None:
        """Print a remark on the operation above."""
        self._print(Text(text), indent=6)

    def act(self, kind: str, call: Callable[[], R], *, began_s: float | None = None) -> R:
        """Call, and write down the outcome; passes its result or error on.

        `began_s` is the monotonic time of the request if it was made earlier.
        """
        began_s = time.monotonic() if began_s is None else began_s
        try:
            result = call()
        except SingletrackError as error:
            self._record(kind, None, began_s, type(error).__name__)
            raise
        self._record(kind, result, began_s, "done")
        return result

    def refused(
        self,
        kind: str,
        error_type: type[SingletrackError],
        call: Callable[[], object],
        *,
        began_s: float | None = None,
    ) -> None:
        """Call something that must fail with an error of this type; `began_s` as for `act`."""
        try:
            self.act(kind, call, began_s=began_s)
        except error_type as error:
            self._print(Text(f"{type(error).__name__}: {error.message}", style="yellow"), indent=6)
            self.expect(True, f"the caller gets a typed error, {type(error).__name__}")
        except SingletrackError as error:
            self.expect(False, f"{kind} fails with {error_type.__name__}, and not with {type(error).__name__}: {error}")
        else:
            self.expect(False, f"{kind} fails with {error_type.__name__}, and does not succeed")

    def expect(self, met: bool, text: str) -> None:
        """Write down whether something that must hold does."""
        self.expectations.append(Expectation(text, met))
        mark, style = ("✓", "green") if met else ("✗", "bold red")
        self._print(Text.assemble((f"{mark} ", style), (text if met else f"FAILED: {text}", "" if met else "red")), 6)

    @property
    def unmet(self) -> tuple[Expectation, ...]:
        """The expectations that were not met."""
        return tuple(expectation for expectation in self.expectations if not expectation.met)

    @property
    def jobs(self) -> int:
        """How many jobs the operations took."""
        return sum(operation.jobs for operation in self.operations)

    @property
    def mode_changes(self) -> int:
        """How many mode changes were requested."""
        return sum(operation.kind.startswith("set_mode") for operation in self.operations)

    def _record(self, kind: str, result: object, began_s: float, outcome: str) -> None:
        operation = _operation(self.mode, kind, result, time.monotonic() - began_s, outcome)
        self.operations.append(operation)
        line = Text.assemble(("  ▸ ", "bold"), (f"{kind:<34}", "bold"), f" {operation.total_s:6.2f} s")
        if operation.device:
            line.append(f"   {operation.device}", style="dim")
        self._print(line)
        for receipt in operation.receipts:
            self._print(Text(receipt_line(receipt), style="cyan" if receipt.ok else "red"), indent=6)

    def _print(self, text: Text, indent: int = 0) -> None:
        self._console.print(Padding(text, (0, 0, 0, indent), expand=False))


def receipt_line(receipt: StepReceipt) -> str:
    """Say in one line what a step did to the memory."""
    before, after = receipt.vram_before_mb, receipt.vram_after_mb
    memory = "no GPU" if before is None or after is None else f"{before:>6} -> {after:>6} MB ({after - before:+d})"
    failed = "" if receipt.ok else f"  failed: {receipt.detail}"
    return f"{receipt.step:<13} VRAM {memory:<30} {receipt.duration_s:6.2f} s{failed}"


def _operation(mode: str, kind: str, result: object, total_s: float, outcome: str) -> DiaryEntry:
    parts = _parts(result)
    waited = [part.waited_s for part in parts if part.waited_s is not None]
    return DiaryEntry(
        mode=mode,
        kind=kind,
        device=_device(result),
        waited_s=sum(waited) if waited else None,
        turn_s=sum(part.duration_s for part in parts) if parts else None,
        total_s=total_s,
        outcome=outcome,
        jobs=len(parts),
        receipts=tuple(receipt for part in parts for receipt in part.receipts),
    )


def _parts(result: object) -> Sequence[OperationResult]:
    """The results of the jobs behind an answer; none if it came from the cache or the last snapshot."""
    match result:
        case OperationResult():
            return (result,)
        case Answer():
            return (result.result,)
        case Embeddings():
            return result.results
        case _:
            return ()


def _device(result: object) -> str:
    match result:
        case Embeddings():
            return result.device or "cache"
        case Answer():
            return result.result.device
        case AskResult() | FindClipResult():
            return result.device
        case GPUResourceStatus():
            return "snapshot"
        case _:
            return ""
