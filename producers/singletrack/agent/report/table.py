"""A report as a table for a terminal."""

from rich.table import Table
from rich.text import Text

from singletrack.agent.report.model import RunReport, StepOutcome, StepReport, VerifiedAs
from singletrack.agent.report.words import fits_one_line, outcome_sentence, verdict

_STYLES = {
    StepOutcome.DONE: "green",
    StepOutcome.PLANNED: "cyan",
    StepOutcome.STOPPED: "bold red",
    StepOutcome.NOT_REACHED: "dim",
}


def report_table(report: RunReport) -> Table:
    """Make a table of a run, a row a step; how each was verified is on the page."""
    style = "green" if report.outcome in {"completed", "dry_run"} else "red"
    title = Text.assemble((fits_one_line(report.workflow), "bold"), "  ", (outcome_sentence(report), style))
    table = Table(title=title, title_justify="left")
    for name in ("#", "step", "target"):
        table.add_column(name)
    table.add_column("method", no_wrap=True)
    for name in ("score", "ms", "queued", "again"):
        table.add_column(name, justify="right")
    table.add_column("came of it")
    for step in report.steps:
        table.add_row(*_cells(step))
    return table


def _cells(step: StepReport) -> tuple[Text, ...]:
    target = step.target
    style = _STYLES[step.outcome]
    reached = step.outcome is not StepOutcome.NOT_REACHED
    return (
        Text(str(step.number)),
        Text(step.kind),
        Text(fits_one_line(target.name if target else step.name)),
        Text(str(target.method or "-") if target else ""),
        Text(f"{target.score:.2f}" if target and target.method else ""),
        Text(f"{step.took_ms:.0f}" if reached else ""),
        Text(f"{step.queued_ms:.0f}" if step.queued_ms else ""),
        Text(str(step.retries) if step.retries else ""),
        Text(fits_one_line(_short_verdict(step)), style="yellow" if _is_doubtful(step) else style),
    )


def _short_verdict(step: StepReport) -> str:
    is_sure = step.outcome is StepOutcome.DONE and step.verification.outcome is VerifiedAs.VERIFIED
    return "verified" if is_sure else verdict(step)


def _is_doubtful(step: StepReport) -> bool:
    return step.outcome is StepOutcome.DONE and step.verification.outcome is VerifiedAs.UNPROVEN
