"""The page about real GPUs is what the newest reports that were kept say."""

import json
from pathlib import Path
from typing import Any

from gpu_check import page
from gpu_check.report import NOT_RUN
from tests.unit.documents.markdown import DOCS


def report(
    made: str,
    *,
    simulated: bool = False,
    verdict: str = "ok",
    value: str = "",
    clip_mb: float = 900,
    only: list[str] | None = None,
    complete: bool = True,
) -> dict[str, Any]:
    about = {"made": made, "simulated": simulated, "gpu": "NVIDIA Test", "driver": "570.1", "only": only or []}
    rows = [{"section": "clip", "name": "it holds", "value": value, "verdict": verdict, "note": ""}]
    return {"about": about, "rows": rows, "figures": {"clip_mb": clip_mb}, "complete": complete}


def keep(folder: Path, *reports: dict[str, Any]) -> None:
    for number, one in enumerate(reports):
        (folder / f"{number}.json").write_text(json.dumps(one), encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    # If it is not: python -m gpu_check.page ops/docs/gpu.md
    assert DOCS["gpu"].text == page.page()


def test_without_a_report_it_says_that_no_gpu_has_been_seen(tmp_path: Path) -> None:
    keep(tmp_path, report("2030-01-01T00:00:00", simulated=True))
    assert "No real GPU has been seen yet" in page.page(tmp_path)


def test_all_reports_of_the_newest_day_are_shown(tmp_path: Path) -> None:
    later = report("2027-02-01T10:00:00", only=["room"])
    keep(tmp_path, later, report("2027-02-01T00:00:00"))
    first, second = (line for line in page.page(tmp_path).splitlines() if line.startswith("On NVIDIA Test"))
    assert "(only room)" in second
    assert "only" not in first


def test_a_section_without_time_is_no_failure(tmp_path: Path) -> None:
    keep(tmp_path, report("2027-01-01T00:00:00", verdict="FAIL", value=NOT_RUN))
    assert "0 checks passed, 0 failed; no time was left for clip." in page.page(tmp_path)


def test_the_newest_report_of_a_real_gpu_is_shown(tmp_path: Path) -> None:
    newest = report("2027-02-01T00:00:00", clip_mb=1234)
    keep(tmp_path, report("2027-01-01T00:00:00"), newest, report("2028-01-01T00:00:00", simulated=True))
    text = page.page(tmp_path)
    assert "On NVIDIA Test, driver 570.1, 2027-02-01: 1 checks passed, 0 failed." in text
    assert f"| {page.FIGURES['clip_mb']} | 1234 |" in text


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    keep(tmp_path, report("2027-01-01T00:00:00", only=["clip", "room"], complete=False))
    text = page.page(tmp_path)
    assert "2027-01-01 (only clip, room): 1 checks passed, 0 failed before the check was broken off in `clip`." in text


def test_a_failure_is_named(tmp_path: Path) -> None:
    keep(tmp_path, report("2027-01-01T00:00:00", verdict="FAIL"))
    assert "0 checks passed, 1 failed: `clip`: it holds." in page.page(tmp_path)
