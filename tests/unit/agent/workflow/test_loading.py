"""Workflows from files: what is wrong is said with its place, before anything is done."""

import os
from pathlib import Path

import pytest

from singletrack.agent.errors import InvalidAnchor, InvalidWorkflow
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.geometry import Box
from singletrack.agent.workflow import loading
from singletrack.agent.workflow.loading import FILE_BYTES_MAX, load_workflow
from singletrack.agent.workflow.steps import CheckStep, ClickStep, TypeStep

WHOLE = """\
name: Pay an invoice
steps:
  - do: click
    target: {text: Open, role: button}
    expect: {seen: Invoice entry, gone: [Files, Places], within_s: 5}
  - do: type
    name: reference
    into: {anchor: anchors/reference.json}
    text: "Q1 ${var:total}"
"""
ASKED = """\
name: Ask
steps:
  - {do: ask, question: 'What is the total?', into: total}
  - {do: type, into: {text: Total}, text: "${var:total}"}
  - {do: check, text: Saved, there: false}
"""
ANCHOR = Anchor(box=Box(1, 2, 30, 40), crop_png=b"png", screen_width=800, screen_height=600)


def steps(*lines: str) -> str:
    return "\n".join(["name: x", "steps:", *(f"  {line}" for line in lines)])


def load(folder: Path, text: str | bytes) -> object:
    file = folder / "flow.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_workflow(file, lambda _file: ANCHOR)


def complaint(folder: Path, text: str | bytes) -> str:
    with pytest.raises(InvalidWorkflow) as caught:
        load(folder, text)
    assert caught.value.message.startswith("flow.yaml: ")
    return caught.value.message.removeprefix("flow.yaml: ")


def test_a_workflow_is_read_with_its_anchors(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(WHOLE.replace(" ${var:total}", ""), encoding="utf-8")
    asked_for: list[Path] = []

    def anchor(file: Path) -> Anchor:
        asked_for.append(file)
        return ANCHOR

    workflow = load_workflow(tmp_path / "flow.yaml", anchor)
    click, typed = workflow.steps
    assert isinstance(click, ClickStep)
    assert click.expect is not None
    assert (click.expect.seen, click.expect.gone, click.expect.within_s) == (("Invoice entry",), ("Files", "Places"), 5)
    assert isinstance(typed, TypeStep)
    assert typed.into.anchor == ANCHOR
    assert asked_for == [tmp_path / "anchors" / "reference.json"]


def test_an_answer_may_be_typed(tmp_path: Path) -> None:
    workflow = load_workflow(_written(tmp_path, ASKED))
    assert workflow.asks
    last = workflow.steps[-1]
    assert isinstance(last, CheckStep)
    assert not last.there


def _written(folder: Path, text: str) -> Path:
    file = folder / "flow.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "The file is empty"),
        ("[1, 2", "Line 1: this is no YAML"),
        ("- a\n- b\n", "A workflow is a mapping"),
        ("name: x\nsteps: []\n", "line 1: it has no steps"),
        ("steps:\n  - {do: click, target: {text: a}}\n", "line 1, name: is missing"),
        ("name: x\nname: y\nsteps: []\n", "Line 2: 'name' is there twice"),
        (steps("- {do: clock}"), "line 3, step 1: do is 'clock'. It is one of: click, type, wait_until_seen, check"),
        (steps("- {target: {text: a}}"), "line 3, step 1: do is None"),
        (
            steps("- do: click", "  target: {text: a}", "  colour: red"),
            "line 5, step 1, colour: there is no such field",
        ),
        (steps("- do: click", "  target: {}"), "line 4, step 1, target: A target needs an anchor, a text or a desc"),
        (steps("- do: click", "  target: {text: a}", "  retries: 99"), "line 5, step 1, retries: "),
        (steps("- do: click", "  target: {text: a}", "  expect: {sen: b}"), "expect.sen: there is no such field; ther"),
        (steps("- {do: type, into: {text: a}, secret: hunter2}"), "step 1: secret is a reference like ${env:NAME}"),
        (steps("- {do: type, into: {text: a}, text: '${ENV}'}"), "a reference is ${env:NAME} or ${var:NAME}"),
        (steps("- {do: type, into: {text: a}, text: '${var:b}'}"), "which no earlier step asks for"),
        (steps("- {do: press, keys: [control alt]}"), "is no key"),
        (steps("- {do: scroll, at: {text: a}, notches: 0}"), "notches is not 0"),
        (steps("- {do: check}"), "give either text or target"),
        (steps("- &a {do: press, keys: [enter]}", "- *a"), "Line 4: aliases (*name) are not read"),
        (
            steps("- {do: click, name: a, target: {text: a}}", "- {do: press, name: a, keys: [b]}"),
            "two steps are named",
        ),
        ("needs_worker: false\n" + steps("- {do: ask, question: a, into: b}"), "needs_worker cannot be false"),
        (steps("- {do: press, keys: [entr]}"), "step 1, keys: 'entr' is no key: write one sign, or one of alt, "),
        (steps("- {do: press, keys: enter}"), "step 1, keys: 'enter' is no list, like [a, b]"),
        (steps("- {do: click, target: Save}"), "step 1, target: 'Save' is no mapping, like {text: Save}"),
        (steps("- {do: type, into: {text: a}, text: 007}"), "step 1, text: 7 is no text: put it in quotes"),
        (steps("- {do: check, text: a, timeout_s: yes}"), "step 1, timeout_s: True is no number"),
        (steps('- {do: type, into: {text: a}, text: "a\\eb"}'), "Character 2 of the text is U+001B"),
        (steps('- {do: check, text: "--", there: false}'), "'--' has no letter and no digit"),
        (steps("- {do: press, keys: [a], expect: {gone: '!'}}"), "'!' has no letter and no digit"),
        (steps("- {do: press, keys: [a], expect: {seen: ''}}"), "an expectation needs seen, gone or target"),
        (steps("- {do: check, text: '${var:a}', there: false}"), "filled in only where something is typed"),
        (steps("- {do: click, target: {text: '${var:a}'}}"), "filled in only where something is typed"),
        (steps("- {do: ask, question: 'Is it ${env:A}?', into: a}"), "filled in only where something is typed"),
        (steps("- {do: ask, question: a, into: b, answer_schema: {type: text}}"), "not a valid JSON schema"),
        (steps("- {do: ask, question: a, into: b, answer_schema: {const: 2026-01-01}}"), "cannot be serialized as"),
        ("[" * 5000, "nested more than"),
        ("name: 2026-99-99\n", "a value that cannot be read"),
        ("name: !!python/object/apply:os.system [ls]\n", "Line 1: this is no YAML"),
        (b"name: \xff\xfe\n", "It is not UTF-8"),
        ("x" * (FILE_BYTES_MAX + 1), "It is larger than 512 KiB"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in complaint(tmp_path, text)


@pytest.mark.parametrize("name", ["../up.json", "/etc/passwd", "C:\\x.json", "\\\\host\\x.json", "a/../../b.json"])
def test_an_anchor_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    said = complaint(tmp_path, steps(f"- {{do: click, target: {{anchor: '{name}'}}}}"))
    assert "line 3, step 1: anchor is" in said


def test_a_missing_anchor_is_refused_with_its_step(tmp_path: Path) -> None:
    def missing(_file: Path) -> Anchor:
        raise InvalidAnchor("it is not there. Record it.")

    text = steps("- {do: press, keys: [a]}", "- {do: click, target: {anchor: a.json}}")
    with pytest.raises(InvalidWorkflow, match=r"line 4, step 2: the anchor a\.json: it is not there"):
        load_workflow(_written(tmp_path, text), missing)


def test_a_secret_in_clear_is_not_repeated(tmp_path: Path) -> None:
    said = complaint(tmp_path, steps("- {do: type, into: {text: a}, secret: 48151623}"))
    assert "48151623" not in said
    assert "secret: it is a reference like ${env:NAME}" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such links and pipes without rights")
def test_an_anchor_that_is_a_link_to_elsewhere_or_no_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "flow"
    folder.mkdir()
    (tmp_path / "out.json").write_text("{}")
    (folder / "link.json").symlink_to(tmp_path / "out.json")
    (folder / "away").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.json")
    for name, said in (("link.json", "leads out"), ("away/out.json", "leads out"), ("pipe.json", "is no file")):
        assert said in complaint(folder, steps(f"- {{do: click, target: {{anchor: {name}}}}}"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkflow, match="cannot be read"):
        load_workflow(tmp_path / "none.yaml")
    with pytest.raises(InvalidWorkflow, match="cannot be read"):
        load_workflow(Path("a\0b"))


def test_without_an_own_loader_the_real_one_is_used(tmp_path: Path) -> None:
    file = _written(tmp_path, steps("- {do: click, target: {anchor: none.json}}"))
    with pytest.raises(InvalidWorkflow, match=r"step 1: the anchor none\.json") as caught:
        loading.load_workflow(file)
    assert caught.value.message.count("Record the element again") == 1
