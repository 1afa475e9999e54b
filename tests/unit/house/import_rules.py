"""The import rules of pyproject.toml, and whether they refuse imports that the sources do not have."""

import itertools
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"
_CONFIGURATION: dict[str, Any] = read_configuration(str(PYPROJECT))
SESSION: dict[str, Any] = _CONFIGURATION["session_options"]
ROOTS: list[str] = SESSION["root_packages"]
RULES: dict[str, dict[str, Any]] = {rule["name"]: rule for rule in _CONFIGURATION["contracts_options"]}
# The folders of the packages that are installed.
WHEEL: list[str] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]
_TYPES: dict[str, type[Contract]] = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "layers": LayersContract,
}

# Who imports whom.
Import = tuple[str, str]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The rules of one of import-linter's types, by name."""
    return {name: rule for name, rule in RULES.items() if rule["type"] == kind}


def layers_of(container: str) -> list[list[str]]:
    """The layers of a package, top to bottom, each with the full names of its modules."""
    (rule,) = (rule for rule in of_type("layers").values() if container in rule.get("containers", ()))
    return _layers(rule, f"{container}.")


def against_layers(rule: dict[str, Any]) -> Iterator[Import]:
    """Every import from a layer to the one above it, and between modules of one layer."""
    for container in rule.get("containers", ("",)):
        layers = _layers(rule, f"{container}." if container else "")
        for upper, lower in itertools.pairwise(layers):
            yield from itertools.product(lower, upper)
        for layer in layers:
            yield from itertools.permutations(layer, 2)


def forbidden(rule: dict[str, Any]) -> Iterator[Import]:
    """Every import that a rule forbids by name."""
    return itertools.product(rule["source_modules"], rule["forbidden_modules"])


def broken(graph: ImportGraph) -> set[str]:
    """The names of the rules that a graph breaks."""
    return {name for name in RULES if breaks(graph, name)}


def breaks(graph: ImportGraph, name: str) -> bool:
    """Whether a graph breaks a rule."""
    rule = RULES[name]
    contract = _TYPES[rule["type"]](name=name, session_options=SESSION, contract_options=rule)
    return not contract.check(deepcopy(graph), verbose=False).kept


def plant(graph: ImportGraph, *imports: Import) -> ImportGraph:
    """Copy a graph and add imports to it; where a package is the importer, a module deep inside it is."""
    planted = deepcopy(graph)
    for importer, imported in imports:
        if imported not in planted.modules:
            planted.add_module(imported, is_squashed=True)
        planted.add_import(importer=_innermost(graph, importer), imported=imported, line_number=1, line_contents="")
    return planted


def _layers(rule: dict[str, Any], prefix: str) -> list[list[str]]:
    return [[f"{prefix}{module.strip()}" for module in layer.split("|")] for layer in rule["layers"]]


def _innermost(graph: ImportGraph, module: str) -> str:
    return max({module} | graph.find_descendants(module), key=lambda name: (name.count("."), name))
