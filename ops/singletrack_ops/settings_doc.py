"""`python -m singletrack_ops.settings_doc FILE`: the page about the settings, made of the models that read them."""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from singletrack.wire.settings import ClientSettings
from singletrack_worker.settings import GPUResourceConfig

PREFIX = "SINGLETRACK_"
# What somebody who sets up a host decides; all else has a default that fits.
TO_SET = (
    "redis_url",
    "track",
    "gpu",
    "gpu_index",
    "ollama_url",
    "vlm_model",
    "idle_timeout_s",
    "clip_weights",
    "standby",
    "foreign_models",
    "metrics_port",
)
_UNITS = {"_s": "seconds", "_mb": "MiB", "_file": "file"}
_TYPES = {int: "whole number", float: "number", bool: "0 or 1", str: "text", SecretStr: "text", Path: "folder"}

_HEAD = """\
# Settings

<!-- Made by `python -m singletrack_ops.settings_doc ops/docs/settings.md`: change the models, not this page. -->

All settings are environment variables. Worker, beat and Flower read them at their start, check them together, and name
each variable that is wrong. [.env.example](../../.env.example) lists the same settings for `docker compose`.
"""
_CLIENT = """
## The client

`Client(redis_url, track)` and the options `--redis-url` and `--track` of `singletrack` win over the environment.
"""
_TO_SET = """
## Settings you will set
"""
_TUNING = """
## Tuning

The defaults fit; change one when you know why.
"""
_OTHERS = """
## Not the worker's

| variable | read by | what it does |
|---|---|---|
| `SINGLETRACK_CACHE_DIR` | the sandbox | Where it is kept once it is built. Unset: `~/.cache/singletrack`. |
| `CUDA_VISIBLE_DEVICES` | the worker, Ollama | Which GPUs CUDA shows, as CUDA reads it: the worker takes the first. |
| `FLOWER_BASIC_AUTH` | Flower | `user:password`; without it Flower listens on loopback only. |
| `FLOWER_BASIC_AUTH_FILE` | Flower | A file with one `user:password` a line, instead. |
| `FLOWER_READ_ONLY` | Flower | `false` gives its buttons back, which can shut the worker down. |
| `REDIS_PASSWORD` | `docker compose` | The password of its Redis. |
| `GRAFANA_ADMIN_PASSWORD` | `docker compose` | The password of Grafana's user `admin`, at its first start. |
| `GPU_DEVICE` | `docker compose` | The GPU of worker and Ollama, by number or UUID. |
"""


def page() -> str:
    """Write the page, Markdown."""
    fields = GPUResourceConfig.model_fields
    tuning = [name for name in fields if name not in TO_SET]
    parts = (
        *(_HEAD, _CLIENT, _table(ClientSettings, ClientSettings.model_fields)),
        *(_TO_SET, _table(GPUResourceConfig, TO_SET)),
        *(_TUNING, _table(GPUResourceConfig, tuning)),
        _OTHERS,
    )
    return "".join(parts)


def _table(model: type[BaseSettings], names: Any) -> str:
    rows = (_row(name, model.model_fields[name]) for name in names)
    return "\n".join(("", "| variable | value | default | what it does |", "|---|---|---|---|", *rows, ""))


def _row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"the setting {name} has no description")
    return f"| `{PREFIX}{name.upper()}` | {_value(name, field)} | {_default(field.default)} | {field.description} |"


def _value(name: str, field: FieldInfo) -> str:
    """Say what may be given: choices, or a type with its unit and bounds."""
    kinds = [kind for kind in _alternatives(field.annotation) if kind is not type(None)]
    if get_origin(kinds[0]) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kinds[0]))
    if issubclass(kinds[0], Enum):
        return ", ".join(f"`{choice.value}`" for choice in kinds[0])
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), _TYPES[kinds[0]])
    return ", ".join((unit, *_bounds(field)))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            yield f"at least {bound.ge}"
        elif isinstance(bound, annotated_types.Gt):
            yield f"above {bound.gt}"
        elif isinstance(bound, annotated_types.Le):
            yield f"at most {bound.le}"


def _default(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        value = int(value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
