"""What tables and pages say about a run."""

from singletrack.agent.report.model import RunOutcome, RunReport, StepOutcome, StepReport, VerifiedAs

_OUTCOMES = {
    RunOutcome.COMPLETED: "all steps done",
    RunOutcome.UNSURE: "stopped, because a step was unsure",
    RunOutcome.STOPPED_BY_PERSON: "stopped by a person",
    RunOutcome.DRY_RUN: "dry run: nothing was touched",
}
_CHARS_MAX = 160


def fits_one_line(text: str) -> str:
    """Put a text from outside on one line, without characters that a terminal obeys."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    return line if len(line) <= _CHARS_MAX else f"{line[: _CHARS_MAX - 3]}..."


def outcome_sentence(report: RunReport) -> str:
    """Say what came of a run."""
    done = sum(step.outcome is StepOutcome.DONE for step in report.steps)
    return f"{_OUTCOMES[report.outcome]} ({done} of {len(report.steps)} steps, {report.took_ms / 1000:.1f} s)"


def verdict(step: StepReport) -> str:
    """Say what came of a step."""
    if step.outcome is StepOutcome.STOPPED:
        return step.why
    if step.outcome is StepOutcome.NOT_REACHED:
        return "not reached"
    if step.outcome is StepOutcome.PLANNED:
        return "would be done" if step.target else "not looked at"
    said = {VerifiedAs.VERIFIED: "verified", VerifiedAs.UNPROVEN: "unproven", VerifiedAs.NOT_ASKED: "not verified"}
    how = f"{said.get(step.verification.outcome, 'failed')}: {step.verification.how}" if step.verification.how else ""
    answer = f"answer: {step.answer}" if step.answer else ""
    return "; ".join(part for part in (answer, how) if part) or "done"


def mean_score(report: RunReport) -> float | None:
    """The mean score of the targets that were found; None without any."""
    scores = [target.score for target in report.found]
    return sum(scores) / len(scores) if scores else None
