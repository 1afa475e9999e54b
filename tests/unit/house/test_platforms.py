"""The agent's side runs on Windows too: neither it nor what it imports of ours needs what only POSIX has."""

import json
import subprocess
import sys

import pytest
from grimp import ImportGraph

POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
AGENT = "singletrack.agent"
# Imports every module by name; ours among the importers are refused what Windows does not have.
SCRIPT = """
import builtins, importlib, json, sys

names, refused = json.loads(sys.argv[1]), set(json.loads(sys.argv[2]))
original = builtins.__import__

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if importer.startswith("singletrack") and not level and name.partition(".")[0] in refused:
        raise ModuleNotFoundError(f"{importer} imports {name}", name=name)
    return original(name, globals, locals, fromlist, level)

builtins.__import__ = guarded
for name in names:
    importlib.import_module(name)
"""


def imported(names: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(names), json.dumps(sorted(POSIX_ONLY))],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def reached(graph: ImportGraph) -> set[str]:
    """The agent's modules and all of ours that they import, in functions too."""
    ours = {AGENT} | graph.find_descendants(AGENT)
    upstream = graph.find_upstream_modules(AGENT, as_package=True)
    return ours | {name for name in upstream if name.startswith("singletrack")}


def test_nothing_of_posix_alone_is_imported(graph: ImportGraph, reached: set[str]) -> None:
    assert len(reached) > 30
    found = {
        (name, other)
        for name in reached
        for other in graph.find_modules_directly_imported_by(name)
        if other.partition(".")[0] in POSIX_ONLY
    }
    assert found == set()


def test_every_module_can_be_imported_where_posix_modules_are_not(graph: ImportGraph) -> None:
    names = sorted({AGENT} | graph.find_descendants(AGENT))
    done = imported(names)
    assert done.returncode == 0, done.stderr


def test_an_import_of_posix_would_be_seen(graph: ImportGraph) -> None:
    importers = {name for one in POSIX_ONLY & graph.modules for name in graph.find_modules_that_directly_import(one)}
    assert importers, "the graph knows such imports, from the worker's host lock for one"
    done = imported([sorted(importers)[0]])
    assert done.returncode != 0
    assert "imports" in done.stderr
