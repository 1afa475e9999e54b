"""What the README says is so: its diagram, its make targets, its links, its settings, its code."""

import ast
import re
from pathlib import Path

import pytest

from singletrack_worker.gpu.known.states import mermaid
from singletrack_worker.settings import GPUResourceConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(language: str) -> list[str]:
    return [text for found, text in FENCE.findall(README) if found == language]


def test_the_diagram_is_the_table_of_the_code() -> None:
    assert [block.strip() for block in blocks("mermaid")] == [mermaid().strip()]


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join([*blocks("console"), *re.findall(r"`[^`\n]+`", README)])))
    assert named
    assert named <= targets


def test_every_relative_link_leads_somewhere() -> None:
    links = [link for link in LINK.findall(README) if "://" not in link and not link.startswith("mailto:")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_setting_that_is_named_exists() -> None:
    fields = {f"SINGLETRACK_{name.upper()}" for name in GPUResourceConfig.model_fields}
    named = set(re.findall(r"\bSINGLETRACK_[A-Z][A-Z0-9_]*\b", README))
    assert named
    # The last is the embedded stack's, where its sandbox is kept.
    assert named <= fields | {"SINGLETRACK_CACHE_DIR"}


def test_every_path_that_is_named_exists() -> None:
    named = set(re.findall(r"\b(?:tasks|producers|worker|ops|tests)/[\w./-]*", README))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path.rstrip(".")).exists()] == []


@pytest.mark.parametrize("code", blocks("python"))
def test_every_example_is_python(code: str) -> None:
    ast.parse(code)


def test_what_the_examples_import_is_there() -> None:
    imports = [node for code in blocks("python") for node in ast.walk(ast.parse(code))]
    names = [
        (node.module, alias.name)
        for node in imports
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("singletrack")
        for alias in node.names
    ]
    assert names
    for module, name in names:
        assert hasattr(__import__(module or "", fromlist=[name]), name), f"{module} has no {name}"
