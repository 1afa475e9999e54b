"""What tests of all kinds share."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from singletrack_ops.embedded import tiny_clip as tiny

# Hypothesis: the default looks for new counterexamples, `ci` (HYPOTHESIS_PROFILE=ci) repeats itself. No deadline: an
# example may be dozens of operations, and the machine that runs it may be busy.
settings.register_profile("default", max_examples=100, stateful_step_count=40, deadline=None)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session", autouse=True)
def _state_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that a worker under test writes for later is left in the user's folders."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def tiny_clip() -> Path:
    """The folder of the tiny CLIP, made once a version; in its own process, so that no test has torch imported."""
    folder = _cache() / f"tiny-clip-{tiny.VERSION}"
    if not tiny.is_complete(folder):
        subprocess.run(
            [sys.executable, "-m", "singletrack_ops.embedded.tiny_clip", str(folder)], check=True, timeout=600
        )
    return folder


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path(tempfile.gettempdir())) / "singletrack-tests"
