"""What was found: rows with a verdict, figures for the documents, and how each section ended."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

VERSION = 1
# How a section ended for which no time was left.
NOT_RUN = "not run: no time was left"
Verdict = Literal["ok", "FAIL", "info"]
_NOTE_CHARS = 600
_SHOWN_CHARS = 160
_RULE = "-" * 100


@dataclass(frozen=True)
class Row:
    """One finding."""

    section: str
    name: str
    value: str
    verdict: Verdict
    note: str = ""


class Report:
    """Collects what was found, prints it as it comes, and keeps the file at `path` up to date."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.rows: list[Row] = []
        self._path = path
        self._about = dict(about)
        self._figures: dict[str, float] = {}
        self._sections: dict[str, str] = {}
        self._is_complete = False
        self._began_s = time.monotonic()

    @property
    def failed(self) -> list[Row]:
        """The rows that say that something failed."""
        return [row for row in self.rows if row.verdict == "FAIL"]

    def add(self, row: Row) -> None:
        """Take a row in."""
        self.rows.append(row)
        note = f"  ({row.note[:_SHOWN_CHARS]})" if row.note and row.verdict == "FAIL" else ""
        took_s = time.monotonic() - self._began_s
        say(f"{took_s:6.1f} s {row.verdict:4} {row.section}: {row.name} = {row.value[:_SHOWN_CHARS]}{note}")
        self.save()

    def figure(self, name: str, value: float) -> None:
        """Keep a figure for the documents."""
        self._figures[name] = float(f"{value:.6g}")
        self.save()

    def section_ended(self, section: str, how: str) -> None:
        """Note how a section ended."""
        self._sections[section] = how
        self.save()

    def save(self) -> None:
        """Write the file."""
        report = {
            "version": VERSION,
            "about": self._about,
            "complete": self._is_complete,
            "passed": self._is_complete and not self.failed,
            "sections": self._sections,
            "figures": self._figures,
            "rows": [asdict(row) for row in self.rows],
        }
        self._path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    def finish(self) -> None:
        """Note that all sections have ended, and print everything, what failed last."""
        self._is_complete = True
        self.save()
        self._print_table()

    def _print_table(self) -> None:
        width = max((len(row.name) for row in self.rows), default=0)
        say(_RULE)
        for row in self.rows:
            say(f"{row.verdict:4} {row.section:11} {row.name:{width}}  {row.value[:_SHOWN_CHARS]}")
        say(_RULE)
        for section, how in self._sections.items():
            say(f"     {section:11} {how}")
        for row in self.failed:
            say(f"FAIL {row.section}: {row.name} = {row.value} {row.note}")
        passed = sum(row.verdict == "ok" for row in self.rows)
        say(f"{passed} passed, {len(self.failed)} failed; the report is {self._path}")


class Findings:
    """The findings of one section."""

    def __init__(self, report: Report, section: str) -> None:
        self._report = report
        self._section = section

    def tell(self, name: str, value: object, note: object = "") -> None:
        """Tell what was seen, without a verdict."""
        self._add(name, value, "info", note)

    def expect(self, name: str, holds: bool, value: object, note: object = "") -> None:
        """Tell what was seen, and whether it is as it has to be."""
        self._add(name, value, "ok" if holds else "FAIL", note)

    def figure(self, name: str, value: float) -> None:
        """Keep a figure for the documents."""
        self._report.figure(name, value)

    def _add(self, name: str, value: object, verdict: Verdict, note: object) -> None:
        self._report.add(Row(self._section, name, str(value), verdict, str(note)[:_NOTE_CHARS]))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
