"""The import rules hold, and each of them refuses what it is there to refuse."""

import importlib.util
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from grimp import ImportGraph

from tests.unit.house.import_rules import (
    PYPROJECT,
    ROOTS,
    RULES,
    SESSION,
    WHEEL,
    Import,
    against_layers,
    breaks,
    broken,
    forbidden,
    layers_of,
    of_type,
    plant,
)

LAYERED = {
    "singletrack_tasks",
    "singletrack_tasks.requests",
    "singletrack",
    "singletrack.agent",
    "singletrack.cli",
    "singletrack_worker",
    "singletrack_worker.gpu",
    "singletrack_ops",
}
# Options that take nothing away from a rule.
OPTIONS = {
    "acyclic_siblings": {"name", "type", "ancestors"},
    "forbidden": {"name", "type", "source_modules", "forbidden_modules", "ignore_imports"},
    "layers": {"name", "type", "containers", "exhaustive", "layers"},
}
# The agent's side reaches through the client what it may not import itself.
DIRECT_ONLY = "The agent's side uses the client, its errors, modes and scopes, and nothing else"
OF_THE_CONTRACT = {"pydantic", "numpy", "PIL", "jsonschema"}
GPU_MODULE = "singletrack_worker.gpu.known.reasons"

# Whatever becomes of the rules, together they refuse each of these.
REFUSED: list[tuple[Import, ...]] = [
    # Between the roots.
    (("singletrack_tasks.text", "singletrack.client"),),
    (("singletrack_tasks.text", "singletrack_worker.settings"),),
    (("singletrack_tasks.text", "singletrack_ops.errors"),),
    (("singletrack.client", "singletrack_worker.settings"),),
    (("singletrack.client", "singletrack_ops.stack"),),
    (("singletrack_worker.settings", "singletrack.client"),),
    (("singletrack_worker.settings", "singletrack_ops.errors"),),
    # What producers and the contract do without.
    (("singletrack.client", "torch"),),
    (("singletrack.client", "open_clip"),),
    (("singletrack.client", "pynvml"),),
    (("singletrack.client", "singletrack_tasks.text"), ("singletrack_tasks.text", "torch")),
    (("singletrack.agent.targets.target", "singletrack.wire.link"),),
    (("singletrack.agent.targets.target", "singletrack_tasks.keys"),),
    (("singletrack.agent.targets.target", "torch"),),
    (("singletrack.client", "singletrack.agent.targets.target"),),
    (("singletrack_tasks.keys", "redis"),),
    (("singletrack_tasks.keys", "kombu"),),
    (("singletrack_tasks.keys", "celery"),),
    (("singletrack_tasks.keys", "singletrack_tasks.celery_tasks"),),
    # The GPU side.
    ((GPU_MODULE, "singletrack_worker"),),
    ((GPU_MODULE, "singletrack_worker.store.payloads"),),
    ((GPU_MODULE, "singletrack_worker.delivery.inbox"),),
    ((GPU_MODULE, "singletrack_worker.sight.metrics"),),
    ((GPU_MODULE, "singletrack_worker.logs"),),
    ((GPU_MODULE, "celery"),),
    ((GPU_MODULE, "kombu"),),
    ((GPU_MODULE, "redis"),),
    ((GPU_MODULE, "singletrack_tasks.celery_tasks"),),
    ((GPU_MODULE, "singletrack_worker.gpu.ollama.http"),),
    (("singletrack_worker.gpu.manager", "singletrack_worker.gpu.clip.manager"),),
    (("singletrack_worker.gpu.moving.moves", "singletrack_worker.gpu.operations.handler"),),
    (("singletrack_worker.gpu.ollama.http", "singletrack_worker.gpu.vram.vram_monitor"),),
    # In a circle, within a room.
    (("singletrack_worker.gpu.ollama.http", "singletrack_worker.gpu.ollama.chat"),),
    # Against the layers.
    (("singletrack_worker.logs", "singletrack_worker.tenure.lease"),),
    (("singletrack_worker.delivery.inbox", "singletrack_worker.store.payloads"),),
    (("singletrack.wire.link", "singletrack.client"),),
    (("singletrack.reading.progress", "singletrack"),),
    (("singletrack.cli.output", "singletrack.cli.screen.view"),),
    (("singletrack_ops.stack", "singletrack_ops.demo.day"),),
]


def planted(kind: str, imports: Any) -> list[Any]:
    """The rules of a type, each with every import that it is to refuse."""
    return [
        pytest.param(name, importer, imported, id=f"{importer}->{imported}")
        for name, rule in of_type(kind).items()
        for importer, imported in imports(rule)
    ]


def test_the_sources_keep_the_rules(graph: ImportGraph) -> None:
    assert broken(graph) == set()


def test_the_graph_is_that_of_these_sources() -> None:
    for package in WHEEL:
        spec = importlib.util.find_spec(Path(package).name)
        assert spec is not None
        assert spec.origin == str(PYPROJECT.parent / package / "__init__.py")


def test_every_package_of_the_wheel_has_its_rules() -> None:
    assert {Path(package).name for package in WHEEL} == set(ROOTS)
    (between_roots,) = (rule for rule in of_type("layers").values() if "containers" not in rule)
    assert {name for importer, imported in against_layers(between_roots) for name in (importer, imported)} == set(ROOTS)
    (no_circles,) = of_type("acyclic_siblings").values()
    assert set(no_circles["ancestors"]) == set(ROOTS)


def test_no_module_is_without_a_layer() -> None:
    layered = [rule for rule in of_type("layers").values() if "containers" in rule]
    assert sorted(container for rule in layered for container in rule["containers"]) == sorted(LAYERED)
    assert all(rule["exhaustive"] in {True, "True"} for rule in layered)


@pytest.mark.parametrize("name", RULES)
def test_no_rule_is_weakened_by_an_option(name: str) -> None:
    rule = RULES[name]
    assert rule.keys() - ({"allow_indirect_imports"} if name == DIRECT_ONLY else set()) <= OPTIONS[rule["type"]]
    assert rule.get("ignore_imports", []) in ([], ["singletrack_tasks.celery_tasks -> celery"])
    # `a : b` are modules of one layer that may import each other, `(a)` one that need not be there.
    assert not [layer for layer in rule.get("layers", ()) if set(layer) & set(":()")]


def test_the_graph_is_built_of_everything() -> None:
    assert SESSION.keys() == {"root_packages", "include_external_packages"}


@pytest.mark.parametrize("imports", REFUSED, ids=lambda imports: " ".join("->".join(pair) for pair in imports))
def test_what_is_named_here_is_refused(graph: ImportGraph, imports: tuple[Import, ...]) -> None:
    assert {imported for _, imported in imports} <= graph.modules
    assert broken(plant(graph, *imports))


@pytest.mark.parametrize(("name", "importer", "imported"), planted("layers", against_layers))
def test_no_layer_imports_the_one_above_it_or_its_neighbours(
    graph: ImportGraph, name: str, importer: str, imported: str
) -> None:
    assert breaks(plant(graph, (importer, imported)), name)


@pytest.mark.parametrize(("name", "importer", "imported"), planted("forbidden", forbidden))
def test_what_is_forbidden_is_refused_directly_and_indirectly(
    graph: ImportGraph, name: str, importer: str, imported: str
) -> None:
    assert breaks(plant(graph, (importer, imported)), name)
    between = "singletrack_tasks.text"
    assert name == DIRECT_ONLY or breaks(plant(graph, (importer, between), (between, imported)), name)


@pytest.mark.parametrize("root", ROOTS)
def test_no_two_neighbours_import_each_other(graph: ImportGraph, root: str) -> None:
    (name,) = of_type("acyclic_siblings")
    there = neighbours(graph, root)
    assert there
    assert [pair for pair in there if not breaks(plant(graph, pair[::-1]), name)] == []


def neighbours(graph: ImportGraph, root: str) -> list[Import]:
    """The imports below a root between modules of one package."""
    below = {root} | graph.find_descendants(root)
    return [
        (importer, imported)
        for importer in sorted(below)
        for imported in sorted(graph.find_modules_directly_imported_by(importer) & below)
        if importer.rpartition(".")[0] == imported.rpartition(".")[0]
    ]


@pytest.mark.parametrize("container", sorted(LAYERED))
def test_a_new_module_has_to_be_given_its_layer(graph: ImportGraph, container: str) -> None:
    (rule,) = (name for name, rule in of_type("layers").items() if container in rule.get("containers", ()))
    grown = deepcopy(graph)
    grown.add_module(f"{container}.newcomer")
    assert broken(grown) == {rule}


def test_the_tenants_are_hidden_from_everything_above_them() -> None:
    hidden = {f"singletrack_worker.gpu.{room}" for room in ("clip", "judging", "ollama", "vram")}
    (rule,) = (rule for rule in of_type("forbidden").values() if hidden & set(rule["forbidden_modules"]))
    layers = layers_of("singletrack_worker.gpu")
    (depth,) = (depth for depth, layer in enumerate(layers) if hidden & set(layer))
    assert set(layers[depth]) == set(rule["forbidden_modules"]) == hidden
    assert set(rule["source_modules"]) == {module for layer in layers[:depth] for module in layer}


def test_the_contract_imports_only_what_it_may(graph: ImportGraph) -> None:
    (rule,) = (rule for rule in of_type("forbidden").values() if rule["source_modules"] == ["singletrack_tasks"])
    assert packages(graph, "singletrack_tasks") == OF_THE_CONTRACT | {"celery"}
    others = set().union(*(packages(graph, root) for root in ROOTS))
    assert others - OF_THE_CONTRACT <= set(rule["forbidden_modules"])


def packages(graph: ImportGraph, root: str) -> set[str]:
    """What a root imports that is neither ours nor Python's."""
    imported = {name.partition(".")[0] for name in graph.find_modules_directly_imported_by(root, as_package=True)}
    return imported - set(ROOTS) - sys.stdlib_module_names


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the sources and of the rules, to plant something in."""
    for package in WHEEL:
        shutil.copytree(PYPROJECT.parent / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, tmp_path)
    return tmp_path


def linted(folder: Path) -> set[str]:
    """The names of the rules that `lint-imports` finds broken in a copy."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(str((folder / package).parent) for package in WHEEL), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    names = {line.removesuffix(" BROKEN") for line in done.stdout.splitlines() if line.endswith(" BROKEN")}
    assert f"{len(RULES) - len(names)} kept, {len(names)} broken" in done.stdout, done.stdout + done.stderr
    assert done.returncode == bool(names)
    return names


@pytest.mark.parametrize(
    ("statement", "imported"),
    [
        ("", None),
        ("from singletrack_worker.store.payloads import RedisBlobs", "singletrack_worker.store.payloads"),
        ("from singletrack_worker.delivery import inbox", "singletrack_worker.delivery.inbox"),
        ("from singletrack_worker.sight.metrics import Metrics", "singletrack_worker.sight.metrics"),
        ("from singletrack_tasks.celery_tasks import register", "singletrack_tasks.celery_tasks"),
    ],
)
def test_the_command_finds_in_a_copy_what_these_tests_find(
    graph: ImportGraph, copied: Path, statement: str, imported: str | None
) -> None:
    file = copied / "worker" / f"{GPU_MODULE.replace('.', '/')}.py"
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{statement}\n", encoding="utf-8")
    found = linted(copied)
    assert found == broken(plant(graph, (GPU_MODULE, imported)) if imported else graph)
    assert bool(found) == bool(imported)


def test_the_command_finds_a_new_module_in_a_copy(copied: Path) -> None:
    for package in WHEEL:
        (copied / package / "newcomer.py").touch()
    assert len(linted(copied)) == len(WHEEL)
