"""Constructors stay small, a name means one thing, and no import runs in a circle."""

import ast
from collections import defaultdict
from collections.abc import Iterator

from grimp import ImportGraph

from tests.unit.house.import_rules import PYPROJECT, WHEEL

PARAMETERS_MAX = 7
# Names that may stand for two classes, and why.
TWICE: dict[str, str] = {}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product, under its path."""
    for package in WHEEL:
        for file in sorted((PYPROJECT.parent / package).rglob("*.py")):
            yield str(file.relative_to(PYPROJECT.parent)), ast.parse(file.read_text(encoding="utf-8"))


def parameters(function: ast.FunctionDef) -> int:
    """How many parameters a method has, `self` left out."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len(named) - 1 + (arguments.vararg is not None) + (arguments.kwarg is not None)


def constructors(module: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name in {"__init__", "__new__"}:
            yield node


def test_no_constructor_takes_more_than_a_handful() -> None:
    found = {f"{path}:{one.lineno}": parameters(one) for path, module in modules() for one in constructors(module)}
    assert found
    assert {place: count for place, count in found.items() if count > PARAMETERS_MAX} == {}


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict[str, list[str]](list)
    for path, module in modules():
        for node in module.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    assert {name: paths for name, paths in places.items() if len(paths) > 1 and name not in TWICE} == {}
    assert [name for name in TWICE if len(places[name]) < 2] == []


def test_no_import_runs_in_a_circle(graph: ImportGraph) -> None:
    circles = [
        (importer, imported)
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if graph.chain_exists(importer=imported, imported=importer)
    ]
    assert circles == []
