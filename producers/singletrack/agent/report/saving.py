"""Reports in files."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from singletrack.agent.errors import ReportNotWritten
from singletrack.agent.report.model import RunReport
from singletrack.agent.report.page import report_page


@dataclass(frozen=True)
class SavedReport:
    """The files of a report."""

    data: Path
    page: Path


def check_folder(folder: Path) -> None:
    """Make a folder, and try whether it can be written to, before there is something to lose.

    Raises `ReportNotWritten`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise _not_written(folder, error) from error


def save_report(report: RunReport, folder: Path) -> SavedReport:
    """Write `report.json` and `report.html` into a folder, which is made; raises `ReportNotWritten`."""
    saved = SavedReport(folder / "report.json", folder / "report.html")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved.data.write_text(report.model_dump_json(indent=2), encoding="utf-8")
        saved.page.write_text(report_page(report), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _not_written(folder, error) from error
    return saved


def _not_written(folder: Path, error: OSError | ValueError) -> ReportNotWritten:
    reason = getattr(error, "strerror", None) or error
    return ReportNotWritten(f"The report cannot be written to {folder}: {reason}. Choose another folder.")
