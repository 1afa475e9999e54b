"""What is written is read back the same."""

from pathlib import Path

import pytest

from singletrack.agent.errors import InvalidWorkflow
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.loading import load_workflow
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import (
    AskStep,
    CheckStep,
    ClickStep,
    PressStep,
    ScrollStep,
    StepExpectation,
    TypeStep,
    WaitStep,
)
from singletrack.agent.workflow.writing import save_workflow

ANCHOR = Anchor(box=Box(1, 2, 30, 40), crop_png=b"png", text="Öffnen & mehr", screen_width=800, screen_height=600)
OTHER = ANCHOR.model_copy(update={"text": "", "box": Box(9, 9, 9, 9)})
EVERY_KIND = Workflow(
    name="Every kind: of step",
    steps=(
        ClickStep(
            target=Target(anchor=ANCHOR), count=2, expect=StepExpectation(target=Target(anchor=OTHER), within_s=3)
        ),
        AskStep(question="How much?", into="total", answer_schema={"type": "number"}),
        TypeStep(into=Target(text="yes"), text="- ${var:total}: 'quoted'", clear=False),
        TypeStep(into=Target(description="password field"), secret="${env:PASSWORD}", name="log in"),
        WaitStep(target=Target(text="2026-03-12")),
        CheckStep(text="Error", there=False),
        PressStep(keys=("ctrl", "s")),
        ScrollStep(at=Target(anchor=OTHER), notches=-3),
    ),
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    kept: dict[Path, Anchor] = {}
    save_workflow(EVERY_KIND, tmp_path / "flow.yaml", lambda anchor, file: kept.__setitem__(file, anchor))
    assert sorted(file.name for file in kept) == [
        "01-offnen-mehr-2.json",
        "01-offnen-mehr.json",
        "08-the-element-at-13-13.json",
    ]
    assert load_workflow(tmp_path / "flow.yaml", kept.__getitem__) == EVERY_KIND
    text = (tmp_path / "flow.yaml").read_text(encoding="utf-8")
    assert "timeout_s" not in text
    assert "png" not in text


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidWorkflow, match="is there already"):
        save_workflow(EVERY_KIND, tmp_path / "flow.yaml")
    assert (tmp_path / "flow.yaml").read_text(encoding="utf-8") == "mine"
