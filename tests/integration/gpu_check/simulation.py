"""Runs of the check on a simulated GPU, as a user would start them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_check.plants import Plant

# Nothing but a hang takes so long, on whatever machine.
LIMIT_S = 1500


@dataclass(frozen=True)
class Outcome:
    """How a run ended, what it printed, and its report."""

    status: int
    printed: str
    report: dict[str, Any]

    def failures(self) -> list[str]:
        """What failed, as `section: name`."""
        return [f"{row['section']}: {row['name']}" for row in self.report["rows"] if row["verdict"] == "FAIL"]

    def verdicts(self, section: str) -> list[str]:
        """The verdicts of a section."""
        return [row["verdict"] for row in self.report["rows"] if row["section"] == section]


class Simulation:
    """A run that goes on while others do."""

    def __init__(self, folder: Path, tiny_clip: Path, *sections: str, plant: Plant | None = None) -> None:
        self._out = folder / "report.json"
        command = [sys.executable, "-m", "gpu_check", "--simulate", "--fast", "--weights", f"local-dir:{tiny_clip}"]
        command += ["--out", str(self._out), "--work", str(folder / "work"), "--budget", str(LIMIT_S)]
        command += ["--only", *sections] if sections else []
        command += [] if plant is None else ["--plant", plant]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def outcome(self) -> Outcome:
        """Wait for its end."""
        printed, _ = self._process.communicate(timeout=LIMIT_S)
        assert self._out.exists(), printed
        return Outcome(self._process.returncode, printed, json.loads(self._out.read_text(encoding="utf-8")))
