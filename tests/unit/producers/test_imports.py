"""What an agent pays for importing us, and that the wire names are the contract's."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import singletrack

HEAVY = {"torch", "open_clip", "pynvml", "singletrack_worker", "singletrack_ops"}


def _loaded(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_singletrack_loads_next_to_nothing() -> None:
    assert not _loaded("import singletrack") & (HEAVY | {"celery", "redis", "pydantic", "numpy", "PIL", "typer"})


@pytest.mark.parametrize("code", [f"import singletrack; singletrack.{name}" for name in singletrack.__all__])
def test_nothing_that_an_agent_uses_is_heavy(code: str) -> None:
    assert not _loaded(code) & HEAVY


def test_the_help_does_without_what_a_client_needs() -> None:
    assert not _loaded("import singletrack.cli.app") & {"celery", "kombu", "redis", "matplotlib"}


def test_the_command_line_is_not_heavy() -> None:
    assert not _loaded("import singletrack.cli.app, singletrack.cli.checks") & HEAVY


def test_the_version_is_that_of_the_distribution() -> None:
    assert singletrack.__version__ == version("singletrack")


def test_unknown_names_are_unknown() -> None:
    assert set(singletrack.__all__) <= set(dir(singletrack))
    with pytest.raises(AttributeError, match="Nothing"):
        singletrack.Nothing  # noqa: B018 - reading it is the test


def test_importing_the_client_leaves_the_agents_own_celery_app_alone() -> None:
    script = (
        "import celery, singletrack; singletrack.Client; print([n for n in celery.Celery('own').tasks if 'gpu' in n])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
