"""Every block of code is of a kind that a test checks, and data can be read."""

import ast
import json
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from _pytest.mark.structures import ParameterSet

from tests.unit.documents.markdown import PAGES, Block

_READ: Mapping[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
# A sketch shows what does not exist yet: it is read and not run.
_PYTHON = ("python", "python sketch")
# By other tests of this folder.
_CHECKED = ("console", "mermaid", "ini")
_PROSE = ("text",)

BLOCKS = [(f"{page.name}-{number}", block) for page in PAGES for number, block in enumerate(page.blocks)]


def cases(*kinds: str) -> list[ParameterSet]:
    """The blocks of these kinds, or all of them."""
    return [pytest.param(block, id=name) for name, block in BLOCKS if not kinds or block.info in kinds]


@pytest.mark.parametrize("block", cases())
def test_a_block_is_of_a_kind_that_is_checked(block: Block) -> None:
    assert block.info in {*_READ, *_PYTHON, *_CHECKED, *_PROSE}


@pytest.mark.parametrize("block", cases(*_READ))
def test_data_can_be_read(block: Block) -> None:
    assert _READ[block.info](block.code)


@pytest.mark.parametrize("block", cases(*_PYTHON))
def test_python_can_be_read(block: Block) -> None:
    ast.parse(block.code)
