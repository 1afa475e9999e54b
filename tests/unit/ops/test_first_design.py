"""The table of the reference workflow's figures."""

import io

from rich.console import Console

from singletrack_ops.demo.first_design import FIRST_DESIGN, WorkflowFigures, comparison
from tests.unit.agent.report.reports import report


def test_figures_are_taken_from_a_report() -> None:
    figures = WorkflowFigures.of(report())
    assert (figures.clicks, figures.found, figures.retries) == (3, 2, 1)
    assert sum(figures.methods.values()) == 2
    assert round(figures.mean_score, 2) == 0.7
    assert (figures.texts, figures.texts_right) == (0, 0)


def test_a_run_without_clicks_has_figures_too() -> None:
    figures = WorkflowFigures.of(report().model_copy(update={"steps": ()}))
    assert (figures.clicks, figures.mean_score, figures.seconds_a_click) == (0, 0, 0)


def test_the_table_has_both() -> None:
    shown = io.StringIO()
    Console(file=shown, width=100, no_color=True).print(comparison(FIRST_DESIGN))
    rows = [line.split("│")[1:4] for line in shown.getvalue().splitlines() if line.startswith("│")]
    assert {name.strip(): (first.strip(), here.strip()) for name, first, here in rows} == {
        "clicks found": ("8 of 8", "8 of 8"),
        "by anchor_template": ("1", "1"),
        "by som_text_match": ("1", "1"),
        "by som_vlm": ("6", "6"),
        "mean score": ("0.75", "0.75"),
        "seconds a click": ("1.6", "1.6"),
        "texts typed right": ("4 of 4", "4 of 4"),
        "retries": ("0", "0"),
    }
