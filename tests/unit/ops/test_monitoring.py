"""The dashboard and the alerts: well formed, and every name in them is one that a worker exposes."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from singletrack_tasks.result import DegradedCode
from singletrack_worker.sight.metrics import Gauges, Metrics
from tests.unit.ops.monitoring import OPS, dashboards, panels, queries, rules, variables
from tests.unit.ops.promql import Query
from tests.unit.worker.sight.exposition import Exposition
from tests.unit.worker.sight.test_metrics import ASKED, BACKLOG, LOAD, STATUS

PROMETHEUS = OPS / "prometheus"
TRACK = STATUS.track


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    return found


def run(*command: str, folder: Path = PROMETHEUS) -> str:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def exposition() -> Exposition:
    """What a worker exposes that has worked a little."""
    metrics = Metrics(TRACK)
    metrics.ended(ASKED)
    metrics.moved(LOAD, None)
    states = CollectorRegistry()
    status = STATUS.model_copy(update={"durations_s": {"ask": 1.0, "ping": 1.0}})
    states.register(Gauges(lambda: (status, BACKLOG)))
    return Exposition.of(metrics.registry, states)


def test_the_configuration_and_the_rules_are_valid(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "check", "config", "prometheus.yml")
    assert f"SUCCESS: {len(rules())} rules found" in run(promtool, "check", "rules", "rules.yml")


def test_the_alerts_fire_when_they_should_and_else_do_not(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "test", "rules", "rules_test.yml")


def test_a_broken_alert_would_be_noticed(promtool: str, tmp_path: Path) -> None:
    text = (PROMETHEUS / "rules.yml").read_text(encoding="utf-8")
    (tmp_path / "rules.yml").write_text(text.replace("> 600", "> 60"), encoding="utf-8")
    shutil.copy(PROMETHEUS / "rules_test.yml", tmp_path)
    with pytest.raises(AssertionError, match="SingletrackOperationLong"):
        run(promtool, "test", "rules", "rules_test.yml", folder=tmp_path)


def test_every_alert_is_tried() -> None:
    tried = (PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8")
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for name in names:
        assert re.search(rf'ALERTS{{alertname="{name}", alertstate="firing"', tried), f"{name} never fires in the tests"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(text.strip() for text in rule["annotations"].values())


def test_every_reason_for_degraded_mode_has_advice_of_its_own() -> None:
    told = " ".join(rule["annotations"]["runbook"] + rule["expr"] for rule in rules())
    for code in DegradedCode:
        assert f'"{code}"' in told


def test_every_setting_that_an_alert_names_exists() -> None:
    named = set(re.findall(r"SINGLETRACK_[A-Z_]+[A-Z]", (PROMETHEUS / "rules.yml").read_text(encoding="utf-8")))
    known = set(re.findall(r"SINGLETRACK_[A-Z_]+[A-Z]", (OPS.parent / ".env.example").read_text(encoding="utf-8")))
    assert named
    assert named <= known


def test_every_query_is_valid(promtool: str, tmp_path: Path) -> None:
    recorded = [{"record": f"query_{number}", "expr": expr} for number, (_, expr) in enumerate(queries(TRACK))]
    text = yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]})
    (tmp_path / "queries.yml").write_text(text, encoding="utf-8")
    assert f"SUCCESS: {len(recorded)} rules found" in run(promtool, "check", "rules", "queries.yml", folder=tmp_path)


@pytest.mark.parametrize(("where", "expression"), list(queries(TRACK)), ids=lambda text: text.replace(" ", "_")[:40])
def test_every_query_asks_for_what_is_there(exposition: Exposition, where: str, expression: str) -> None:
    assert Query.read(expression).selectors
    assert Query.read(expression).problems(exposition.samples) == [], f"{where}: {expression}"


def test_every_metric_is_on_the_dashboard(exposition: Exposition) -> None:
    shown = {selector.name for _, expression in queries(TRACK) for selector in Query.read(expression).selectors}
    for family in exposition.families:
        assert {sample.name for sample in family.samples} & shown, f"{family.name} is shown nowhere"


def test_panels_are_told_apart_explained_and_do_not_overlap() -> None:
    for dashboard in dashboards():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_dashboard_is_of_one_track_and_of_any_prometheus() -> None:
    assert {"track", "kind"} <= {variable["name"] for variable in variables()}
    for panel in panels():
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        for target in panel["targets"]:
            assert "$track" in target["expr"] or target["expr"].startswith(("up{", "ALERTS{"))


def test_what_is_provisioned_fits_together() -> None:
    (source,) = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((OPS / "grafana/provisioning/dashboards/singletrack.yml").read_text())["providers"]
    compose = yaml.safe_load((OPS.parent / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    scraping = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))["global"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == scraping["scrape_interval"]
    assert f"./ops/grafana/dashboards:{provider['options']['path']}:ro" in compose["grafana"]["volumes"]
    assert compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(
        provider["options"]["path"]
    )
