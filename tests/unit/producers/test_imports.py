"""What an agent pays for importing us, and that the wire names are the contract's."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import singletrack
from singletrack.operations import _OPERATIONS
from singletrack_tasks import embedding, mode, upkeep, vlm

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


def test_the_wire_names_are_those_of_the_tasks() -> None:
    tasks = {
        mode.set_mode.name,
        vlm.ask.name,
        vlm.load_vlm.name,
        vlm.unload_vlm.name,
        embedding.embed_images.name,
        embedding.embed_texts.name,
        upkeep.find_clip.name,
        upkeep.ping.name,
        upkeep.tick.name,
    }
    assert {operation.task for operation in _OPERATIONS.values()} == tasks
