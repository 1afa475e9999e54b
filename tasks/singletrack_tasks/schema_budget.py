"""Bounds what a JSON schema may cost, before anything follows its references or compiles all of it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, Union
from urllib.parse import unquote

from singletrack_tasks.errors import InvalidSchema

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_NODES = 1_000
MAX_SCHEMA_DEPTH = 64
MAX_EXPANSIONS = 10_000
MAX_PATTERN_CHARS = 200
# A pattern of that length can take half a second to compile, and the contract compiles them all.
MAX_PATTERN_CHARS_IN_ALL = 2_000
# Each is compiled character by character, which takes up to 20 ms.
MAX_CASELESS_RANGES = 40

_REFERENCES = ("$ref", "$dynamicRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_SHOWN_CHARS = 200
_CASELESS = re.compile(r"\(\?[a-zA-Z]*i")
_DATA = {"const", "default", "enum", "examples"}
# At least as many digits as any index of a list has, and few enough for Python to read.
_INDEX = re.compile(r"[0-9]{1,9}")


def check_budget(schema: object) -> None:
    """Raise `InvalidSchema`, which names the bound and the place as a JSON pointer, for a schema that costs too much.

    Bounds: bytes when serialized, values, nesting, references when each is replaced by what it refers to, and the
    characters and caseless ranges of patterns, which must compile. References must lead to a schema within the schema.
    """
    tree = _Tree(schema)
    _check_size(schema)
    _check_references(tree)
    _check_patterns(tree)


@dataclass(eq=False)
class _Node:
    """One value of a schema, and where it is; `resource` is what a reference from it is relative to."""

    value: Any
    depth: int = 1
    part: str | int = ""
    parent: Union["_Node", None] = None
    resource: "_Node" = field(init=False)
    parts: dict[str | int, "_Node"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        is_resource = self.parent is None or isinstance(self.keyword("$id"), str)
        self.resource = self if self.parent is None or is_resource else self.parent.resource

    def keyword(self, name: str) -> Any:
        """Return the value under a name, None if there is none."""
        return self.value.get(name) if isinstance(self.value, dict) else None

    @property
    def pointer(self) -> str:
        """Where it is: a JSON pointer."""
        parts: list[str] = []
        node = self
        while node.parent is not None:
            parts.append(f"/{str(node.part).replace('~', '~0').replace('/', '~1')}")
            node = node.parent
        return "".join(reversed(parts))

    @property
    def is_data(self) -> bool:
        """Whether it is within a value that answers or readers are given, hence no schema."""
        return not _DATA.isdisjoint(self.pointer.split("/"))

    def refuse(self, problem: str) -> NoReturn:
        """Raise the error for what is wrong here."""
        where = self.pointer[:_SHOWN_CHARS]
        raise InvalidSchema(f"this schema cannot be used: at {where or 'its root'}: {problem}", {"pointer": where})


class _Tree:
    """All values of a schema, the nearest to its root first; made without recursion, and never beyond the bounds."""

    def __init__(self, schema: object) -> None:
        self.root = _Node(schema)
        self.nodes = [self.root]
        chars = 0
        for node in self.nodes:
            chars += _text_chars(node, node.value)
            for part, value in _items(node):
                chars += _text_chars(node, part)
                self._add(_Node(value, node.depth + 1, part, node))
            if chars > MAX_SCHEMA_BYTES:
                node.refuse(f"its text is longer than {MAX_SCHEMA_BYTES} bytes. Use a smaller schema.")
        self._anchors = {
            (node.resource, name): node
            for node in self.nodes
            for name in (node.keyword(keyword) for keyword in _ANCHORS)
            if isinstance(name, str)
        }

    def target(self, node: _Node, reference: str) -> _Node | None:
        """Return what a local reference leads to, None if that is not within the schema."""
        fragment = unquote(reference.removeprefix("#"))
        if fragment and not fragment.startswith("/"):
            return self._anchors.get((node.resource, fragment))
        found: _Node | None = node.resource
        for token in fragment.split("/")[1:]:
            if found is None:
                return None
            name = token.replace("~1", "/").replace("~0", "~")
            is_index = isinstance(found.value, list) and _INDEX.fullmatch(name)
            found = found.parts.get(int(name) if is_index else name)
        return found

    def _add(self, node: _Node) -> None:
        if len(self.nodes) >= MAX_SCHEMA_NODES:
            node.refuse(f"it has more than {MAX_SCHEMA_NODES} values in all. Use a simpler schema.")
        if node.depth > MAX_SCHEMA_DEPTH:
            node.refuse(f"it is nested more than {MAX_SCHEMA_DEPTH} deep. Use a flatter schema.")
        if node.parent is not None:
            node.parent.parts[node.part] = node
        self.nodes.append(node)


def _text_chars(node: _Node, text: object) -> int:
    if not isinstance(text, str):
        return 0
    if "\0" in text:
        node.refuse("it has a character NUL, at which Ollama's process for the model ends. Leave it out.")
    return len(text)


def _items(node: _Node) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node.value, dict):
        for name, value in node.value.items():
            if not isinstance(name, str):
                node.refuse(f"a name in it is no string: {str(name)[:_SHOWN_CHARS]}")
            yield name, value
    elif isinstance(node.value, list | tuple):
        yield from enumerate(node.value)


def _check_size(schema: object) -> None:
    try:
        size_bytes = len(json.dumps(schema, allow_nan=False))
        # A lone surrogate can be escaped, but neither encoded nor sent.
        json.dumps(schema, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidSchema(f"this schema cannot be serialized as JSON: {error}") from error
    if size_bytes > MAX_SCHEMA_BYTES:
        _Node(schema).refuse(f"it has {size_bytes} bytes, the limit is {MAX_SCHEMA_BYTES}. Use a smaller schema.")


def _check_references(tree: _Tree) -> None:
    """Count the references, each replaced by what it refers to; one that leads back to where it is counts once."""
    targets = {node: [_target(tree, node, reference) for reference in _references(node)] for node in tree.nodes}
    counts: dict[_Node, int] = {}
    begun: set[_Node] = set()
    waiting = [(tree.root, False)]
    while waiting:
        node, is_done = waiting.pop()
        found = [target for target in targets[node] if target is not None]
        if is_done:
            # What is not counted yet lies on the way here from the root: a circle.
            counts[node] = len(found) + sum(counts.get(one, 0) for one in (*node.parts.values(), *found))
            if counts[node] > MAX_EXPANSIONS:
                node.refuse(f"its references expand to more than {MAX_EXPANSIONS} schemas. Use a simpler schema.")
        elif node not in begun:
            begun.add(node)
            waiting.append((node, True))
            waiting.extend((one, False) for one in (*node.parts.values(), *found))


def _target(tree: _Tree, node: _Node, reference: str) -> _Node | None:
    target = tree.target(node, reference)
    if (target is None or not isinstance(target.value, dict | bool)) and not node.is_data:
        node.refuse(f"it refers to {reference[:_SHOWN_CHARS]!r}, where this schema has no schema")
    return target


def _references(node: _Node) -> list[str]:
    references = [reference for name in _REFERENCES if isinstance(reference := node.keyword(name), str)]
    for reference in references:
        if not reference.startswith("#"):
            node.refuse(
                f"it refers to {reference[:_SHOWN_CHARS]!r}: only references within the schema ('#/...') are supported"
            )
    return references


def _check_patterns(tree: _Tree) -> None:
    chars = ranges = 0
    for node, pattern in _patterns(tree):
        chars += len(pattern)
        ranges += pattern.count("-") if _CASELESS.search(pattern) else 0
        if len(pattern) > MAX_PATTERN_CHARS or chars > MAX_PATTERN_CHARS_IN_ALL:
            node.refuse(
                f"its pattern is too long: a pattern may have {MAX_PATTERN_CHARS} characters, all of them together "
                f"{MAX_PATTERN_CHARS_IN_ALL}. Use an enum, or check the answer yourself."
            )
        if ranges > MAX_CASELESS_RANGES:
            node.refuse(
                f"its patterns that ignore case, '(?i)', have more than {MAX_CASELESS_RANGES} ranges such as a-z in "
                "all. Use fewer, or write out both cases."
            )
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            node.refuse(f"its pattern is not a regular expression that Python can compile: {error}")


def _patterns(tree: _Tree) -> Iterator[tuple[_Node, str]]:
    for node in tree.nodes:
        if isinstance(pattern := node.keyword("pattern"), str):
            yield node.parts["pattern"], pattern
        if isinstance(patterns := node.keyword("patternProperties"), dict):
            yield from ((node.parts["patternProperties"].parts[name], name) for name in patterns)
