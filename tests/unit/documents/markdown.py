"""What the documents are made of: text, blocks of code, commands, links and the anchors that they lead to."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A block of code: what it calls itself, and the code."""

    info: str
    code: str


@dataclass(frozen=True)
class Page:
    """A document of this repository."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> "Page":
        """Read a file."""
        return cls(path, path.read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        """Its path from the root."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self) -> list[Block]:
        """Its blocks of code."""
        return [Block(info.strip(), code) for info, code in _FENCE.findall(self.text)]

    def code(self, info: str) -> list[str]:
        """The blocks that call themselves so."""
        return [block.code for block in self.blocks if block.info == info]

    @property
    def prose(self) -> str:
        """Its text without its blocks of code."""
        return _FENCE.sub("", self.text)

    @property
    def commands(self) -> list[str]:
        """What is typed at its prompts."""
        lines = (line for code in self.code("console") for line in code.splitlines())
        return [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]

    @property
    def spans(self) -> list[str]:
        """The code within its prose."""
        return _INLINE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """Where it leads."""
        return _LINK.findall(_INLINE.sub("code", self.prose))

    @property
    def anchors(self) -> set[str]:
        """The names of its headings, as GitHub makes them."""
        seen: Counter[str] = Counter()
        return {_numbered(_slug(heading), seen) for heading in _HEADING.findall(self.prose)}


def pages() -> Iterator[Page]:
    """All documents."""
    for pattern in ("*.md", ".github/*.md", "ops/**/*.md"):
        yield from (Page.read(path) for path in sorted(ROOT.glob(pattern)))


def _slug(heading: str) -> str:
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def _numbered(slug: str, seen: Counter[str]) -> str:
    number = seen[slug]
    seen[slug] += 1
    return f"{slug}-{number}" if number else slug


PAGES = tuple(pages())
README = next(page for page in PAGES if page.name == "README.md")
DOCS = {page.path.stem: page for page in PAGES if page.name.startswith("ops/docs/")}
