"""A run's figures beside those of the first design, for the reference workflow."""

from collections import Counter
from dataclasses import dataclass
from typing import Self

from rich.table import Table

from singletrack.agent.report.model import RunReport, StepOutcome, StepReport, VerifiedAs
from singletrack.agent.targets.resolution import Method


@dataclass(frozen=True)
class WorkflowFigures:
    """What came of the reference workflow: clicks and the ways they were found, scores, seconds a click, texts."""

    clicks: int
    found: int
    methods: dict[Method, int]
    mean_score: float
    seconds_a_click: float
    texts: int
    texts_right: int
    retries: int

    @classmethod
    def of(cls, report: RunReport) -> Self:
        """Take them from a report."""
        clicks = [step for step in report.steps if step.kind == "click"]
        texts = [step for step in report.steps if step.kind == "type"]
        found = [step.target for step in clicks if step.outcome is StepOutcome.DONE and step.target]
        scores = [target.score for target in found]
        return cls(
            clicks=len(clicks),
            found=len(found),
            methods=dict(Counter(target.method for target in found if target.method)),
            mean_score=sum(scores) / len(scores) if scores else 0.0,
            seconds_a_click=sum(step.took_ms for step in clicks) / 1000 / len(clicks) if clicks else 0.0,
            texts=len(texts),
            texts_right=sum(map(_is_read_back, texts)),
            retries=report.retries,
        )


FIRST_DESIGN = WorkflowFigures(
    clicks=8,
    found=8,
    methods={Method.ANCHOR_TEMPLATE: 1, Method.SOM_TEXT_MATCH: 1, Method.SOM_VLM: 6},
    mean_score=0.75,
    seconds_a_click=1.6,
    texts=4,
    texts_right=4,
    retries=0,
)


def comparison(ours: WorkflowFigures) -> Table:
    """Put a run beside the first design, whose workflow, screens and machine were others."""
    table = Table("", title="The reference workflow beside the first design's", title_justify="left")
    table.add_column("first design", justify="right")
    table.add_column("here", justify="right")
    for (name, first), (_, here) in zip(_rows(FIRST_DESIGN), _rows(ours), strict=True):
        table.add_row(name, first, here)
    return table


def _rows(figures: WorkflowFigures) -> list[tuple[str, str]]:
    return [
        ("clicks found", f"{figures.found} of {figures.clicks}"),
        *((f"  by {method}", str(figures.methods.get(method, 0))) for method in Method),
        ("mean score", f"{figures.mean_score:.2f}"),
        ("seconds a click", f"{figures.seconds_a_click:.1f}"),
        ("texts typed right", f"{figures.texts_right} of {figures.texts}"),
        ("retries", str(figures.retries)),
    ]


def _is_read_back(step: StepReport) -> bool:
    return step.verification.outcome is VerifiedAs.VERIFIED
