"""`.env.example` lists every setting of the worker, with its default."""

import re
from pathlib import Path

import pytest

from singletrack_worker.settings import GPUResourceConfig

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^(?P<comment>#?)(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
PREFIX = "SINGLETRACK_"


def lines() -> list[tuple[str, str, bool]]:
    """Name, value, and whether the line is a comment, of each setting."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    found = [(match["name"], match["value"], bool(match["comment"])) for match in LINE.finditer(text)]
    return [line for line in found if line[0].startswith(PREFIX)]


def fields() -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in GPUResourceConfig.model_fields}


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*fields(), "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


def test_every_setting_is_there_once_and_nothing_else() -> None:
    names = [name for name, _, _ in lines()]
    assert len(names) == len(set(names))
    assert set(names) == fields()


def test_commented_lines_show_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    default = GPUResourceConfig.from_environment()
    for name, value, commented in lines():
        if commented:
            with monkeypatch.context() as environment:
                environment.setenv(name, value)
                shown = GPUResourceConfig.from_environment()
            assert shown == default, f"{name}={value} is not the default"


def test_the_file_as_it_is_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, commented in lines():
        if not commented:
            monkeypatch.setenv(name, value)
    read = GPUResourceConfig.from_environment()
    default = GPUResourceConfig()
    assert read.redis_url.get_secret_value().startswith("redis://:change-me@")
    assert read.model_dump(exclude={"redis_url"}) == default.model_dump(exclude={"redis_url"})
