"""No link leads nowhere."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.unit.documents.markdown import PAGES, README, ROOT, Page


def broken(page: Page) -> list[str]:
    """The links of a page to files and headings that are not there."""
    return [link for link in page.links if not leads_somewhere(page, link)]


def leads_somewhere(page: Page, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme:
        return parts.scheme == "https" and bool(parts.netloc)
    if not parts.path:
        return parts.fragment in page.anchors
    target = (page.path.parent / parts.path).resolve()
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not parts.fragment or parts.fragment in Page.read(target).anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    assert broken(page) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [README.path]
    while ahead:
        page = Page.read(ahead.pop())
        reached.add(page.path)
        paths = {(page.path.parent / urlsplit(link).path).resolve() for link in page.links if "://" not in link}
        ahead.extend(path for path in paths if path.suffix == ".md" and path not in reached)
    documented = {page.path for page in PAGES if page.name.startswith((".github/", "ops/docs/"))}
    assert documented <= reached


@pytest.mark.parametrize(
    "text",
    [
        "[a](missing.md)",
        "[a](#missing)",
        "[a](README.md#missing)",
        "![a](missing.svg)",
        "[a](http://insecure.example)",
        "# One\n[a](#two)",
        "[a](../outside)",
    ],
)
def test_a_broken_link_is_found(text: str) -> None:
    assert broken(Page(ROOT / "page.md", text))


@pytest.mark.parametrize(
    "text",
    [
        "[a](LICENSE)",
        "## Two `words`, now\n[a](#two-words-now)",
        "# One\n# One\n[a](#one-1)",
        "`[a](code.md)`",
        "```text\n[a](code.md)\n```",
        "[a](https://example.org/page)",
    ],
)
def test_a_good_link_is_not(text: str) -> None:
    assert broken(Page(ROOT / "page.md", text)) == []
