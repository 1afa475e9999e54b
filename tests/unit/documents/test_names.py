"""What the documents name is there: the diagram, the rooms, settings, paths, events, reasons."""

import re
from typing import get_args

import pytest

from singletrack_ops import settings_doc
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.result import DegradedCode
from singletrack_worker.gpu.known.states import mermaid
from singletrack_worker.settings import GPUResourceConfig
from tests.unit.documents.commands import SETTINGS
from tests.unit.documents.markdown import DOCS, PAGES, README, ROOT, Page

README_WORDS_MAX = 1300
_SOURCES = ("tasks", "producers", "worker", "ops/singletrack_ops")
_NAMES = re.compile(r"`([^`]+)`")


def column(page: Page, heading: str) -> list[str]:
    """The names in the first column of the tables below a heading."""
    _, _, below = page.prose.partition(f"\n## {heading}\n")
    section = below.partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    return [name for cell in cells for name in _NAMES.findall(cell)]


def test_the_readme_can_be_read_in_a_few_minutes() -> None:
    assert len(re.findall(r"\S+", README.text)) <= README_WORDS_MAX


def test_the_readme_has_what_the_tests_look_at() -> None:
    assert all((README.commands, README.code("python"), README.links, README.spans))
    assert re.search(r"\bSINGLETRACK_", README.text)


def test_the_diagram_is_the_table_of_the_code() -> None:
    assert [block.strip() for block in DOCS["design"].code("mermaid")] == [mermaid().strip()]


def test_every_room_is_named_once_and_no_other() -> None:
    packages = {
        file.parent.relative_to(ROOT).as_posix() + "/"
        for source in _SOURCES
        for file in (ROOT / source).rglob("__init__.py")
    }
    named = [name for name in column(DOCS["design"], "The rooms") if name.endswith("/")]
    assert sorted(named) == sorted(packages)


def test_every_kind_of_event_is_named() -> None:
    kinds = {kind.model_fields["kind"].default for kind in get_args(get_args(AnyEvent)[0])}
    assert set(column(DOCS["observing"], "Events")) == kinds


def test_every_reason_is_named() -> None:
    assert column(DOCS["observing"], "Degraded, with a reason") == list(DegradedCode)


def test_the_page_about_the_settings_is_what_the_models_say() -> None:
    # If it is not: python -m singletrack_ops.settings_doc ops/docs/settings.md
    assert DOCS["settings"].text == settings_doc.page()


def test_every_setting_is_on_its_page_once() -> None:
    table = DOCS["settings"].text.partition("## Settings you will set")[2]
    named = re.findall(r"^\| `(SINGLETRACK_\w+)` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(SETTINGS)


def test_a_setting_without_a_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GPUResourceConfig.model_fields["grace_s"], "description", None)
    with pytest.raises(ValueError, match="grace_s"):
        settings_doc.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Page) -> None:
    assert set(re.findall(r"\bSINGLETRACK_[A-Z][A-Z0-9_]*\b", page.text)) <= SETTINGS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Page) -> None:
    named = set(re.findall(r"\b(?:tasks|producers|worker|ops|tests)/[\w./-]*", page.text))
    assert [path for path in sorted(named) if not (ROOT / path.rstrip(".")).exists()] == []
