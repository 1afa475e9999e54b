import pytest

from evaluation.judge import Kind, Trial, Verdict, judge
from evaluation.reliability import bins_of, plot, table
from evaluation.stages.stage import to_element
from evaluation.tables import report
from evaluation.trying import PageResult
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.resolution import Method, Resolution, TargetStatus

TRUTH = to_element(
    {"id": "ok", "role": "button", "label": "OK", "text": "OK", "box": [10, 20, 30, 40], "click": [25, 40]}
)


def found(x: int, y: int) -> Resolution:
    return Resolution(
        status=TargetStatus.FOUND,
        why="it looks like it",
        score=0.9,
        method=Method.ANCHOR_TEMPLATE,
        box=Box(x - 5, y - 5, 11, 11),
        point=Point(x, y),
    )


@pytest.mark.parametrize(("x", "y"), [(10, 20), (39, 59), (25, 40)])
def test_a_point_in_the_box_is_right(x: int, y: int) -> None:
    assert judge(found(x, y), TRUTH) is Verdict.RIGHT


@pytest.mark.parametrize(("x", "y"), [(9, 20), (40, 40), (25, 60), (300, 300)])
def test_a_point_outside_is_a_false_click(x: int, y: int) -> None:
    assert judge(found(x, y), TRUTH) is Verdict.FALSE


def test_whatever_is_found_of_what_is_not_there_is_a_false_click() -> None:
    assert judge(found(25, 40), None) is Verdict.FALSE


@pytest.mark.parametrize("status", [status for status in TargetStatus if status is not TargetStatus.FOUND])
@pytest.mark.parametrize("truth", [TRUTH, None])
def test_all_else_is_a_refusal(status: TargetStatus, truth: object) -> None:
    assert judge(Resolution(status=status, why="not sure"), TRUTH if truth else None) is Verdict.REFUSED


def trial(verdict: Verdict, score: float, kind: Kind = Kind.PRESENT, *, is_enough: bool = True) -> Trial:
    is_found = verdict is not Verdict.REFUSED
    return Trial(
        page="drawn",
        target="ok",
        variant="dark" if kind is Kind.PRESENT else "removed",
        kind=kind,
        verdict=verdict,
        status="found" if is_found else "degraded",
        method="anchor_template" if is_found else "",
        score=score,
        point=(1, 2) if is_found else None,
        is_enough=is_enough,
        cpu_ms=1.0,
        why="",
    )


def test_scores_are_binned_against_what_was_right_wherever_it_was_found() -> None:
    trials = [trial(Verdict.RIGHT, 0.91)] * 3 + [trial(Verdict.FALSE, 0.93, Kind.REMOVED), trial(Verdict.REFUSED, 0.0)]
    (only,) = bins_of(trials)
    assert (only.count, only.right_share) == (4, 0.75)
    assert only.mean_score == pytest.approx(0.915)
    assert "75.0 %" in table([only])
    assert "anchor_template: 4 found" in plot([only], "Scores")


def test_a_score_of_one_is_in_the_last_bin() -> None:
    assert [one.high for one in bins_of([trial(Verdict.RIGHT, 1.0)])] == [1.0]


def test_the_report_counts_rights_refusals_and_false_clicks_by_what_changed() -> None:
    trials = [trial(Verdict.RIGHT, 0.9)] * 6 + [trial(Verdict.REFUSED, 0.0), trial(Verdict.FALSE, 0.9, is_enough=False)]
    trials += [trial(Verdict.FALSE, 0.9, Kind.TWIN_ONLY), trial(Verdict.REFUSED, 0.0, Kind.REMOVED)]
    lines = report([PageResult("drawn", trials=trials, recording_ms=[5.0])]).splitlines()
    rows = [line.split() for line in lines]
    assert ["theme", "or", "font", "8", "75.0", "%", "1", "1", "12.5", "%", "goal", "95.0", "%"] in rows
    assert ["theme", "or", "font", "7", "85.7", "%", "1", "0", "14.3", "%", "goal", "95.0", "%"] in rows
    assert ["removed,", "one", "twin", "left", "1", "0", "1"] in rows
    assert ["removed", "1", "1", "0"] in rows
