"""Reads what is exposed, as Prometheus would."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


class Exposition:
    """The families and samples of one scrape."""

    def __init__(self, *texts: str) -> None:
        self.families: list[Metric] = [family for text in texts for family in text_string_to_metric_families(text)]
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    @classmethod
    def of(cls, *registries: CollectorRegistry) -> "Exposition":
        """Scrape registries."""
        return cls(*(generate_latest(registry).decode() for registry in registries))

    @property
    def samples(self) -> Iterable[tuple[str, dict[str, str]]]:
        """Names and labels of all samples."""
        return [(name, dict(labels)) for name, labels in self._values]

    def value(self, name: str, track: str, /, **labels: str) -> float:
        """The value of one series; its name comes without the prefix."""
        return self._values[f"singletrack_{name}", frozenset((labels | {"track": track}).items())]

    def holding(self, name: str, track: str) -> set[str]:
        """The label values of a family of ones and zeros that are one, `track` excepted."""
        return {
            value
            for (found, labels), one in self._values.items()
            if found == f"singletrack_{name}" and one == 1 and dict(labels)["track"] == track
            for label, value in labels
            if label != "track"
        }

    def has(self, name: str) -> bool:
        """Whether there is any sample of that name, without the prefix."""
        return any(found == f"singletrack_{name}" for found, _ in self._values)
