"""A report as one page of HTML that needs no other file."""

import base64
from collections.abc import Iterable
from datetime import datetime
from html import escape

from singletrack.agent.report.model import RunOutcome, RunReport, StepOutcome, StepReport
from singletrack.agent.report.style import STYLE
from singletrack.agent.report.words import mean_score, outcome_sentence, verdict

_GOOD = {RunOutcome.COMPLETED, RunOutcome.DRY_RUN}
_CLASSES = {
    StepOutcome.DONE: "good",
    StepOutcome.PLANNED: "planned",
    StepOutcome.STOPPED: "bad",
    StepOutcome.NOT_REACHED: "faint",
}


def report_page(report: RunReport) -> str:
    """Write a page about a run; its pictures are in it."""
    title = escape(report.workflow)
    parts = (_summary(report), *map(_step, report.steps))
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n{''.join(parts)}</body>\n</html>\n"
    )


def _summary(report: RunReport) -> str:
    tone = "good" if report.outcome in _GOOD else "bad"
    score = mean_score(report)
    facts = {
        "began": datetime.fromtimestamp(report.began_unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"),
        "took": f"{report.took_ms / 1000:.1f} s",
        "targets found": str(len(report.found)),
        "mean score": "" if score is None else f"{score:.2f}",
        "retries": str(report.retries),
        "mode before": report.mode_before,
    }
    why = f"<p class='why'>{escape(report.why)}</p>\n" if report.why else ""
    degraded = "".join(f"<li>{escape(reason)}</li>" for reason in report.degraded)
    return f"<p class='outcome {tone}'>{escape(outcome_sentence(report))}</p>\n{why}{_facts(facts.items())}" + (
        f"<ul class='degraded'>{degraded}</ul>\n" if degraded else ""
    )


def _step(step: StepReport) -> str:
    target = step.target
    facts = {
        "target": f"{target.name}" if target else "",
        "method": str(target.method or "") if target else "",
        "score": f"{target.score:.2f}" if target and target.method else "",
        "at": f"{target.point[0]}, {target.point[1]}" if target and target.point else "",
        "looks": str(target.looks) if target and target.looks > 1 else "",
        "took": f"{step.took_ms:.0f} ms" + (f", {step.queued_ms:.0f} of them queued" if step.queued_ms else ""),
        "retries": str(step.retries) if step.retries else "",
        "read and answered by": ", ".join(step.models),
        "degraded": "; ".join(step.degraded),
    }
    shown = [] if step.outcome is StepOutcome.NOT_REACHED else list(facts.items())
    name = f" <small>{escape(step.name)}</small>" if step.name else ""
    return (
        f"<section class='{_CLASSES[step.outcome]}'>\n<h2>{step.number}. {escape(step.kind)}{name}</h2>\n"
        f"<p class='verdict'>{escape(verdict(step))}</p>\n{_facts(shown)}{_attempts(step)}{_picture(step)}</section>\n"
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts if value)
    return f"<dl>{rows}</dl>\n" if rows else ""


def _attempts(step: StepReport) -> str:
    if step.target is None or not step.target.attempts:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.method)}</td><td>{one.score:.2f}</td><td>{one.took_ms:.0f}</td>"
        f"<td>{escape(one.why)}</td></tr>"
        for one in step.target.attempts
    )
    return (
        "<details open><summary>ways that were tried</summary><table>"
        f"<tr><th>method</th><th>score</th><th>ms</th><th>why</th></tr>{rows}</table></details>\n"
    )


def _picture(step: StepReport) -> str:
    if step.picture is None:
        return ""
    data = base64.b64encode(step.picture).decode("ascii")
    what = step.target.name if step.target else "the screen"
    return f"<img alt='{escape(f'where {what} was found', quote=True)}' src='data:image/jpeg;base64,{data}'>\n"
