"""Reports in files."""

from dataclasses import dataclass
from pathlib import Path

from singletrack.agent.errors import ReportNotWritten
from singletrack.agent.report.model import RunReport
from singletrack.agent.report.page import report_page


@dataclass(frozen=True)
class SavedReport:
    """The files of a report."""

    data: Path
    page: Path


def save_report(report: RunReport, folder: Path) -> SavedReport:
    """Write `report.json` and `report.html` into a folder, which is made; raises `ReportNotWritten`."""
    saved = SavedReport(folder / "report.json", folder / "report.html")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved.data.write_text(report.model_dump_json(indent=2), encoding="utf-8")
        saved.page.write_text(report_page(report), encoding="utf-8")
    except OSError as error:
        raise ReportNotWritten(f"The report cannot be written to {folder}: {error.strerror or error}.") from error
    return saved
