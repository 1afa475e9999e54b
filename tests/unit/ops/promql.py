"""Finds in a PromQL expression which series it reads and which labels it works with."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_:][\w:]*|\d[\w.]*|=~|!~|!=|==|>=|<=|\S')
_NAME = re.compile(r"[A-Za-z_:][\w:]*")
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = _GROUPING | {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "stddev", "count_values"}
# What Prometheus itself knows, of every target and of alerts.
_ITS_OWN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "job", "instance"}}
_TARGET_LABELS = {"job", "instance"}

Samples = Iterable[tuple[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Selector:
    """One selector: its metric, and (label, operator, value) of its matchers."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()

    def takes(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it selects a series, as far as this is for the exposing side to say."""
        return name == self.name and all(
            _matches(labels.get(label, ""), how, value)
            for label, how, value in self.matchers
            if label not in _TARGET_LABELS
        )


@dataclass
class Query:
    """What an expression reads: selectors, and the labels that it groups and matches by."""

    selectors: list[Selector] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, expression: str) -> "Query":
        """Scan an expression, which has to be valid."""
        query, tokens = cls(), _TOKEN.findall(expression)
        place = 0
        while place < len(tokens):
            token, following = tokens[place], (tokens[place + 1] if place + 1 < len(tokens) else "")
            if token in _GROUPING and following == "(":
                end = tokens.index(")", place)
                query.labels |= {word for word in tokens[place + 2 : end] if word != ","}
                place = end
            elif token == "[":
                place = tokens.index("]", place)
            elif _NAME.fullmatch(token) and token not in _WORDS and not _is_function(token, following):
                end = tokens.index("}", place) if following == "{" else place
                query.selectors.append(Selector(token, tuple(_matchers(tokens[place + 2 : end]))))
                place = end
            place += 1
        return query

    def problems(self, samples: Samples) -> list[str]:
        """What it names that none of these series has; empty if all of it is there."""
        seen = list(samples)
        known = _TARGET_LABELS | {"le"}
        found: list[str] = []
        for selector in self.selectors:
            named = {label for label, _, _ in selector.matchers}
            if selector.name in _ITS_OWN:
                has = _ITS_OWN[selector.name]
            elif any(name == selector.name for name, _ in seen):
                has = {label for name, labels in seen if name == selector.name for label in labels} | _TARGET_LABELS
                if named <= has and not any(selector.takes(*sample) for sample in seen):
                    found.append(f"no series for {selector}")
            else:
                found.append(f"no metric {selector.name}")
                continue
            found += [f"{selector.name} has no label {label}" for label in sorted(named - has)]
            known |= has
        return found + [f"no label {label}" for label in sorted(self.labels - known)]


def _is_function(token: str, following: str) -> bool:
    return following == "(" or (token in _AGGREGATIONS and following in _GROUPING)


def _matchers(tokens: list[str]) -> Iterator[tuple[str, str, str]]:
    words = [token for token in tokens if token != ","]
    for label, how, quoted in zip(words[::3], words[1::3], words[2::3], strict=True):
        yield label, how, quoted.strip('"')


def _matches(value: str, how: str, wanted: str) -> bool:
    match how:
        case "=":
            return value == wanted
        case "!=":
            return value != wanted
        case "=~":
            return re.fullmatch(wanted, value) is not None
        case "!~":
            return re.fullmatch(wanted, value) is None
    raise AssertionError(f"{how} is no operator of PromQL")
