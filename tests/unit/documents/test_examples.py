"""The examples do what the documents say, against a real worker."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from singletrack_ops.local.http_probe import get_text
from singletrack_ops.stack import Stack
from tests.unit.documents.markdown import DOCS, PAGES, ROOT, Page
from tests.unit.documents.test_names import column

EXAMPLE_S = 120.0
SCREEN = ROOT / "ops" / "samples" / "settings.png"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the pictures that the examples name."""
    with Image.open(SCREEN) as screen:
        screen.save(tmp_path / "screen.png")
        for name, left in (("ok", 2090), ("cancel", 1900)):
            screen.crop((left, 1315, left + 140, 1379)).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.mark.ollama
@pytest.mark.parametrize("page", [page for page in PAGES if page.code("python")], ids=lambda page: page.name)
def test_the_examples_of_a_page_are_one_program_that_runs(page: Page, stack: Stack, desk: Path) -> None:
    if stack.ollama is None:
        pytest.skip(stack.ollama_problem)
    program = desk / "example.py"
    program.write_text("\n".join(page.code("python")), encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SINGLETRACK_")}

    done = subprocess.run(
        [sys.executable, program],
        cwd=desk,
        env=clean | stack.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=EXAMPLE_S,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_table_of_metrics_has_what_the_worker_serves(stack: Stack) -> None:
    assert stack.metrics_url is not None
    exposition = get_text(stack.metrics_url, 10) or ""
    served = {name.removeprefix("singletrack_") for name in re.findall(r"^# TYPE (\S+)", exposition, re.MULTILINE)}
    named = [name.partition("{")[0] for name in column(DOCS["observing"], "Metrics")]
    assert sorted(named) == sorted(served)
