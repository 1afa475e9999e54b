"""What the documents say to type can be typed: the program, the subcommand and the options are there."""

import configparser

import pytest

from tests.unit.documents.commands import problem
from tests.unit.documents.markdown import DOCS, PAGES, Page

_CHECKED_SPANS = ("singletrack ", "make ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed(page: Page) -> None:
    spans = [span for span in page.spans if span.startswith(_CHECKED_SPANS)]
    assert [found for command in (*page.commands, *spans) if (found := problem(command))] == []


@pytest.mark.parametrize("code", DOCS["host"].code("ini"))
def test_a_unit_of_systemd_starts_what_there_is(code: str) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(code)
    assert unit.sections() == ["Unit", "Service", "Install"]
    assert problem(unit["Service"]["ExecStart"]) == ""


@pytest.mark.parametrize(
    "command",
    [
        "singletrack statuss",
        "singletrack status --wach",
        "singletrack dead lost",
        "make nothing",
        "make test NOTHING=1",
        "celery -A singletrack_worker worker --no-such-option",
        "celery -A no_such_package worker",
        "celery -A singletrack_worker flower --no_such_option=1",
        "python -m no_such_module",
        "python no/such/file.py",
        "python -m tests.faults --no-such-option",
        "pip install 'singletrack[nothing]'",
        "docker compose exec nobody true",
        "export SINGLETRACK_NOTHING=1",
        "cp no-such-file here",
        "bash no/such/script.sh",
        "git clone x && make nothing",
        'singletrack ask "$(make nothing)"',
        "unheard-of",
    ],
)
def test_what_cannot_be_typed_is_found(command: str) -> None:
    assert problem(command)
