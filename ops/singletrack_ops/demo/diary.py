"""What was done, what came of it, and whether it was what had to come: told as it happens, kept for the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from singletrack import Answer, Embeddings
from singletrack_tasks.embedding import FindClipResult
from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.result import OperationResult, StepReceipt
from singletrack_tasks.status import GPUResourceStatus
from singletrack_tasks.vlm import AskResult

R = TypeVar("R")


@dataclass(frozen=True)
class DiaryEntry:
    """One thing that an agent asked for; times in seconds, `waited_s` in the queue, `turn_s` with the GPU."""

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
    """Something that had to be so, and whether it was."""

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
        """Tell something beside the operation before."""
        self._print(Text(text), indent=6)

    def act(self, kind: str, call: Callable[[], R], *, began_s: float | None = None) -> R:
        """Do something and write down what came of it; its errors are the caller's.

        `began_s` is the monotonic time at which it was asked for, if that was earlier.
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
        """Do something that must fail with an error of this type; `began_s` as for `act`."""
        try:
            self.act(kind, call, began_s=began_s)
        except error_type as error:
            self._print(Text(f"{type(error).__name__}: {error.message}", style="yellow"), indent=6)
            self.expect(True, f"it is told as a typed error, {error_type.__name__}")
        except SingletrackError as error:
            self.expect(False, f"{kind} must end in {error_type.__name__}, not in {type(error).__name__}: {error}")
        else:
            self.expect(False, f"{kind} must end in {error_type.__name__}, and did not fail")

    def expect(self, met: bool, text: str) -> None:
        """Write down whether something is as it had to be."""
        self.expectations.append(Expectation(text, met))
        mark, style = ("✓", "green") if met else ("✗", "bold red")
        self._print(Text.assemble((f"{mark} ", style), (text if met else f"NOT SO: {text}", "" if met else "red")), 6)

    @property
    def unmet(self) -> tuple[Expectation, ...]:
        """The expectations that were not met."""
        return tuple(expectation for expectation in self.expectations if not expectation.met)

    @property
    def jobs(self) -> int:
        """How many jobs were worked off for what was asked for."""
        return sum(operation.jobs for operation in self.operations)

    @property
    def mode_changes(self) -> int:
        """How many changes of mode were asked for."""
        return sum(operation.kind.startswith("set_mode") for operation in self.operations)

    def _record(self, kind: str, result: object, began_s: float, outcome: str) -> None:
        operation = _operation(self.mode, kind, result, time.monotonic() - began_s, outcome)
        self.operations.append(operation)
        line = Text.assemble(("  ▸ ", "bold"), (f"{kind:<32}", "bold"), f" {operation.total_s:6.2f} s")
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
    """The results of the jobs behind an answer: none where the cache or the last snapshot had it."""
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
