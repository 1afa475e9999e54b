"""The report says what was found, and whether all of it is well."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_check.report import Findings, Report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


def written(path: Path, field: str) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))[field]


def failed(path: Path) -> list[str]:
    return [row["name"] for row in written(path, "rows") if row["verdict"] == "FAIL"]


def test_what_is_found_is_written_at_once(path: Path) -> None:
    report = Report(path, {"gpu": "none"})
    found = Findings(report, "room")
    found.tell("seen", 3)
    found.expect("as it should be", True, "yes")
    assert failed(path) == []
    found.expect("not as it should be", False, "no", "a note")
    found.figure("speed", 1.23456789)
    found.figure("distance", 1.25e-7)
    report.section_ended("room", "1.0 s")

    assert [row["verdict"] for row in written(path, "rows")] == ["info", "ok", "FAIL"]
    assert failed(path) == ["not as it should be"]
    assert written(path, "figures") == {"speed": 1.23457, "distance": 1.25e-07}
    assert written(path, "sections") == {"room": "1.0 s"}


@pytest.mark.parametrize("holds", [True, False])
def test_what_was_broken_off_has_not_passed(path: Path, holds: bool, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(path, {})
    Findings(report, "clip").expect("it holds", holds, "so")
    assert (written(path, "complete"), written(path, "passed")) == (False, False)
    report.finish()
    assert (written(path, "complete"), written(path, "passed")) == (True, holds)


def test_the_table_ends_with_what_failed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(path, {})
    Findings(report, "clip").expect("it holds", True, "yes")
    Findings(report, "clip").expect("it does not", False, "no", "why")
    capsys.readouterr()
    report.finish()
    *_, failure, last = capsys.readouterr().out.splitlines()
    assert failure == "FAIL clip: it does not = no why"
    assert last == f"1 passed, 1 failed; the report is {path}"
