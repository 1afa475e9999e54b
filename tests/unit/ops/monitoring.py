"""The queries of the dashboard and of the alerts, as they reach Prometheus."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

OPS = Path(__file__).parents[3] / "ops"
DASHBOARDS = OPS / "grafana" / "dashboards"
RULES = OPS / "prometheus" / "rules.yml"
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+),\s*(?P<label>\w+)\)")
_LEGEND_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_VARIABLE = re.compile(r"\$\{?(?P<name>\w+)\}?")


def dashboards() -> list[dict[str, Any]]:
    """Every dashboard that is provisioned."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))]


def panels() -> list[dict[str, Any]]:
    """Every panel that has queries."""
    return [panel for dashboard in dashboards() for panel in dashboard["panels"] if panel["type"] != "row"]


def variables() -> list[dict[str, Any]]:
    """Every variable that has a query."""
    listed = (variable for dashboard in dashboards() for variable in dashboard["templating"]["list"])
    return [variable for variable in listed if variable["type"] == "query"]


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panel_queries(track: str) -> Iterator[tuple[str, str, set[str]]]:
    """Where it is, expression, and the labels of the legend, of each query of a panel."""
    for panel in panels():
        for target in panel["targets"]:
            where = f"{panel['title']} {target['refId']}"
            yield where, filled_in(target["expr"], track), set(_LEGEND_LABEL.findall(target["legendFormat"]))


def queries(track: str) -> Iterator[tuple[str, str]]:
    """Where it is, and the expression, of every query: panels, annotations, variables, alerts."""
    yield from ((where, expression) for where, expression, _ in panel_queries(track))
    for dashboard in dashboards():
        for annotation in dashboard["annotations"]["list"]:
            yield annotation["name"], filled_in(annotation["expr"], track)
    for variable in variables():
        yield f"${variable['name']}", filled_in(_as_expression(variable["query"]["query"]), track)
    for rule in rules():
        yield rule["alert"], rule["expr"]


def filled_in(expression: str, track: str) -> str:
    """Put in what Grafana puts in for variables: the track, every kind, and times."""
    given = {"track": track, "kind": ".+", "__rate_interval": "1m", "__interval": "1m", "__range": "30m"}
    return _VARIABLE.sub(lambda match: given[match["name"]], expression)


def _as_expression(variable: str) -> str:
    """Write the query of a variable as one that asks for the same label."""
    match = _LABEL_VALUES.fullmatch(variable)
    assert match is not None, variable
    return f"count by ({match['label']}) ({match['selector']})"
