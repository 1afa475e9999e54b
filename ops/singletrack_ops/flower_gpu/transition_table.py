"""The page's table of transitions: what was moved onto and off the GPU, step by step, by the receipts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from singletrack.cli.output import duration, one_line, short_id
from singletrack.cli.screen.facts import time_of_day
from singletrack_tasks.events import AnyEvent, ClipMigrated, IdleUnload, ModeChanged, VlmLoaded, VlmUnloaded
from singletrack_tasks.result import StepReceipt

_UNKNOWN = "?"


@dataclass(frozen=True)
class TransitionRow:
    """One step: when it ended and why it was made, VRAM in use before and after, its duration and outcome."""

    at: str
    why: str
    step: str
    vram: str
    took: str
    ok: bool
    detail: str


def transition_rows(events: Iterable[AnyEvent]) -> Iterator[TransitionRow]:
    """Give the steps, newest first; a step of a mode change appears there only."""
    newest_first = sorted(events, key=lambda event: event.at_unix_s, reverse=True)
    told = {receipt for event in newest_first if isinstance(event, ModeChanged) for receipt in event.receipts}
    for event in newest_first:
        match event:
            case ModeChanged():
                why = f"{event.before} → {event.after}"
                yield from (_row(event, why, receipt) for receipt in reversed(event.receipts))
            case IdleUnload() if event.receipt is not None:
                told.add(event.receipt)
                yield _row(event, f"idle for {duration(event.idle_s)}", event.receipt)
            case VlmLoaded() | VlmUnloaded() | ClipMigrated() if event.receipt not in told:
                yield _row(event, _cause(event), event.receipt)
            case _:
                continue


def _cause(event: AnyEvent) -> str:
    return f"job {short_id(event.job_id)}" if event.job_id else "by itself"


def _row(event: AnyEvent, why: str, receipt: StepReceipt) -> TransitionRow:
    return TransitionRow(
        time_of_day(event.at_unix_s),
        why,
        receipt.step,
        f"{_figure(receipt.vram_before_mb)} → {_figure(receipt.vram_after_mb)}",
        duration(receipt.duration_s),
        receipt.ok,
        one_line(receipt.detail),
    )


def _figure(mb: int | None) -> str:
    return _UNKNOWN if mb is None else f"{mb:,}"
