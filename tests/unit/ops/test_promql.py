"""The scanner that checks the dashboard and the alerts: it must see what is wrong in them."""

import pytest

from tests.unit.ops.promql import Query, Selector

SAMPLES = [
    ("a_total", {"track": "gpu0", "kind": "ask"}),
    ("a_total", {"track": "gpu0", "kind": "mode"}),
    ("b_seconds_bucket", {"track": "gpu0", "le": "1.0"}),
    ("c", {"track": "gpu0"}),
]


def test_selectors_and_labels_are_found() -> None:
    query = Query.read(
        'histogram_quantile(0.9, sum by (le, kind) (rate(a_total{track="gpu0", kind=~"x|y"}[5m] offset 1h)))'
        " / ignoring(kind) group_left(step) max without (z) (c) > bool 1e3 and up == 1"
    )
    assert query.selectors == [
        Selector("a_total", (("track", "=", "gpu0"), ("kind", "=~", "x|y"))),
        Selector("c"),
        Selector("up"),
    ]
    assert query.labels == {"le", "kind", "step", "z"}


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(a_total[5m])) by (kind)",
        'sum without (kind) (increase(a_total{kind!="ask", job="here"}[5m])) > 0 and c == 0',
        "histogram_quantile(0.5, sum by (le) (rate(b_seconds_bucket[1m])))",
        'up{job="singletrack"} == 0 or absent(up{job="singletrack"})',
        '-a_total{kind=~"as."} * 2 + time()',
    ],
)
def test_what_exists_is_no_problem(expression: str) -> None:
    assert Query.read(expression).problems(SAMPLES) == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(d_total[5m])", "no metric d_total"),
        ('a_total{knid="ask"}', "a_total has no label knid"),
        ('a_total{kind="asks"}', "no series for"),
        ('a_total{kind=~"x|y"}', "no series for"),
        ('a_total{kind!~"ask|mode"}', "no series for"),
        ("sum by (step) (a_total)", "no label step"),
        ("c + on (knid) a_total", "no label knid"),
        ('up{track="gpu0"}', "up has no label track"),
    ],
)
def test_what_does_not_exist_is_told(expression: str, problem: str) -> None:
    (found,) = Query.read(expression).problems(SAMPLES)
    assert problem in found
