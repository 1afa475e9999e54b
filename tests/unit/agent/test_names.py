"""What `singletrack.agent` offers by name."""

import subprocess
import sys

import pytest

from singletrack import agent

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({packages!r}))
from singletrack import agent
try:
    agent.Resolver
except agent.errors.MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("name", agent.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(agent, name) is not None
    assert name in dir(agent)


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Elephant'"):
        _ = agent.Elephant


@pytest.mark.parametrize("package", ["cv2", "rapidfuzz"])
def test_without_the_extra_it_says_what_to_install(package: str) -> None:
    code = WITHOUT.format(packages=[package])
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout == f"The agent's side needs the package {package}: pip install 'singletrack[agent]'\n"


def test_the_names_alone_import_no_package_of_the_extra() -> None:
    code = (
        "import sys, singletrack.agent; print({'cv2', 'faster_paddle', 'rapidfuzz', 'yaml', 'celery'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout == "set()\n"
