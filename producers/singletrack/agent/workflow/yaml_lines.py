"""YAML with the line of every value; imports the extra `agent`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from singletrack.agent.errors import InvalidWorkflow

Path = tuple[str | int, ...]
_DEPTH_MAX = 40


@dataclass(frozen=True)
class YamlDocument:
    """The values of a document, and the line (from 1) of each of them under its path."""

    data: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of a value, or of the innermost one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str) -> YamlDocument:
    """Read one document; raises `InvalidWorkflow` for bad YAML, aliases, keys given twice, too deep nesting."""
    try:
        _check_events(text)
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise InvalidWorkflow("The file is empty. Write name and steps into it.")
            return YamlDocument(loader.construct_document(node), dict(_lines(node, ())))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise InvalidWorkflow(_problem(error)) from error
    except ValueError as error:
        if isinstance(error, InvalidWorkflow):
            raise
        # Scalars that look like a date or a number and are none.
        raise InvalidWorkflow(f"The YAML has a value that cannot be read: {error}. Put it in quotes.") from error


def _check_events(text: str) -> None:
    """Refuse what could grow without end, before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise InvalidWorkflow(f"Line {_line(event)}: aliases (*name) are not read. Write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_MAX:
            raise InvalidWorkflow(f"Line {_line(event)}: values are nested more than {_DEPTH_MAX} deep.")


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    yield path, _line(node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidWorkflow(f"Line {_line(key)}: a key is a word.")
            if key.value in seen:
                raise InvalidWorkflow(f"Line {_line(key)}: {key.value!r} is there twice. Leave one of them.")
            seen.add(key.value)
            yield (*path, key.value), _line(key)
            yield from ((inner, line) for inner, line in _lines(value, (*path, key.value)) if inner[len(path) + 1 :])


def _line(part: Any) -> int:
    return int(part.start_mark.line) + 1


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"Line {mark.line + 1}" if mark is not None else "The file"
    return f"{where}: this is no YAML: {getattr(error, 'problem', None) or error}."
