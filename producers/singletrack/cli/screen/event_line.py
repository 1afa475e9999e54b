"""An event in one line."""

from collections.abc import Iterable
from typing import Any

from singletrack.cli.output import one_line, short_id
from singletrack_tasks.events import AnyEvent, Degraded, DriftChanged, ModeChanged, Recovered
from singletrack_tasks.result import StepReceipt

_SHOWN_OTHERWISE = {"version", "at_unix_s", "kind", "receipts", "receipt", "drift", "over"}


def event_line(event: AnyEvent) -> str:
    """Show what happened, and to what, as words and `name=value`."""
    return f"{event.kind} {event_details(event)}".rstrip()


def event_details(event: AnyEvent) -> str:
    """Show the same without its kind."""
    words = [f"{name}={_short(name, value)}" for name, value in _facts(event).items() if value is not None]
    if isinstance(event, DriftChanged):
        words.insert(0, "went" if event.over else "came")
    return " ".join(words)


def _facts(event: AnyEvent) -> dict[str, Any]:
    facts = event.model_dump(mode="json", exclude=_SHOWN_OTHERWISE)
    match event:
        case Degraded() | Recovered():
            del facts["reason"]
            return facts | {"code": event.reason.code, "message": event.reason.message}
        case DriftChanged():
            return facts | event.drift.model_dump(mode="json", exclude={"version", "since_unix_s"})
        case ModeChanged():
            return facts | _moves(event.receipts)
    receipt = getattr(event, "receipt", None)
    return facts if receipt is None else facts | _move(receipt)


def _moves(receipts: Iterable[StepReceipt]) -> dict[str, Any]:
    made = list(receipts)
    if not made:
        return {}
    steps = ",".join(receipt.step if receipt.ok else f"{receipt.step}:failed" for receipt in made)
    return {"steps": steps, "took_s": sum(receipt.duration_s for receipt in made)}


def _move(receipt: StepReceipt) -> dict[str, Any]:
    before_mb, after_mb = receipt.vram_before_mb, receipt.vram_after_mb
    vram = None if before_mb is None or after_mb is None else f"{before_mb}->{after_mb}"
    return {"vram_mb": vram, "took_s": receipt.duration_s}


def _short(name: str, value: object) -> str:
    """Show a value in one line."""
    if isinstance(value, float):
        return f"{value:.1f}"
    text = str(value)
    return short_id(text) if name == "job_id" else one_line(text)
