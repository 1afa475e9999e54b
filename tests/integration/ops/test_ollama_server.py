"""The sandbox is a real Ollama: it loads, looks, answers by a schema, unloads, and leaves nothing behind."""

import base64
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from PIL import Image

from singletrack_ops.embedded.ollama_sandbox import build_sandbox, default_cache
from singletrack_ops.embedded.ollama_server import EmbeddedOllama, OllamaEndpoint, find_ollama
from singletrack_ops.embedded.tiny_vlm import SENTENCE, TINY_VLM
from singletrack_ops.errors import OllamaUnavailable, SandboxUnavailable
from singletrack_ops.local.loopback import free_port
from tests.addresses import SILENT_PORT
from tests.integration.ops.waiting import runs
from tests.integration.worker_tools import wait_until_gone

pytestmark = pytest.mark.ollama

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "kind": {"enum": ["button", "field"]},
        "visible": {"type": "boolean"},
        "count": {"type": "integer"},
    },
    "required": ["label", "kind", "visible", "count"],
}


def call(ollama: EmbeddedOllama, path: str, body: Mapping[str, object]) -> dict[str, Any]:
    answer = requests.post(f"{ollama.url}{path}", json={"model": ollama.model, "stream": False, **body}, timeout=60)
    answer.raise_for_status()
    parsed: dict[str, Any] = answer.json()
    return parsed


def loaded(ollama: EmbeddedOllama) -> list[str]:
    return [model["model"] for model in requests.get(f"{ollama.url}/api/ps", timeout=10).json()["models"]]


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 200), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


LOOK: dict[str, object] = {"prompt": "What is this?", "images": [picture()], "options": {"temperature": 0}}


def unload(ollama: EmbeddedOllama) -> None:
    assert call(ollama, "/api/generate", {"keep_alive": 0})["done_reason"] == "unload"
    wait_until_gone(lambda: loaded(ollama) == [])


def test_the_tiny_model_is_said_to_see(ollama: EmbeddedOllama) -> None:
    assert ollama.source == "sandbox"
    assert ollama.model == TINY_VLM
    assert "vision" in call(ollama, "/api/show", {})["capabilities"]


def test_it_loads_answers_about_an_image_and_unloads(ollama: EmbeddedOllama) -> None:
    assert call(ollama, "/api/generate", {})["done_reason"] == "load"
    assert loaded(ollama) == [f"{TINY_VLM}:latest"]
    answer = call(ollama, "/api/generate", LOOK)
    assert answer["done_reason"] == "stop"
    assert answer["response"].strip() == SENTENCE
    unload(ollama)


def test_an_image_costs_tokens_and_so_was_really_looked_at(ollama: EmbeddedOllama) -> None:
    without = call(ollama, "/api/generate", {**LOOK, "images": []})["prompt_eval_count"]
    seen = call(ollama, "/api/generate", LOOK)["prompt_eval_count"]
    assert seen > without


def test_with_a_schema_the_answer_is_json_of_that_schema(ollama: EmbeddedOllama) -> None:
    for temperature in (0, 0.8):
        body = {"prompt": "?", "images": [picture()], "format": SCHEMA, "options": {"temperature": temperature}}
        answer = json.loads(call(ollama, "/api/generate", body)["response"])
        assert set(answer) == {"label", "kind", "visible", "count"}
        assert isinstance(answer["label"], str)
        assert answer["kind"] in {"button", "field"}


def test_a_server_that_is_named_is_used_and_not_ended(ollama: EmbeddedOllama, tmp_path: Path) -> None:
    for name, value in (
        ("SINGLETRACK_OLLAMA_URL", ollama.url),
        ("OLLAMA_HOST", ollama.url.removeprefix("http://")),
        ("OLLAMA_HOST", ollama.url.replace("127.0.0.1", "0.0.0.0")),
    ):
        with EmbeddedOllama.start(tmp_path, environ={name: value}) as found:
            assert (found.source, found.url, found.child) == ("configured", ollama.url, None)
    assert loaded(ollama) is not None


def test_stopping_ends_the_server_and_its_model_runners(tmp_path: Path, sandbox_is_there: None) -> None:
    with EmbeddedOllama.start_sandbox(tmp_path) as server:
        call(server, "/api/generate", {})
        assert server.child is not None
        tree = [server.child.pid] + [p.pid for p in psutil.Process(server.child.pid).children(recursive=True)]
        assert any("runner" in psutil.Process(pid).cmdline() for pid in tree)
    assert not [pid for pid in tree if runs(pid)]
    server.stop()


def test_an_installed_program_is_started_where_ollama_host_says(tmp_path: Path, sandbox_is_there: None) -> None:
    files = build_sandbox()
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncd "{files.binary.parent}" && exec ./ollama "$@"\n')
    program.chmod(0o755)
    port = free_port()
    environ = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": files.library_path,
        "HOME": str(tmp_path),
        "OLLAMA_HOST": f":{port}",
    }
    with EmbeddedOllama.start(tmp_path, environ=environ) as server:
        assert (server.source, server.url, server.model) == ("installed", f"http://127.0.0.1:{port}", None)
        assert find_ollama(environ).source == "configured"
    assert find_ollama(environ).source == "installed"


def test_where_there_is_none_the_sandbox_is_offered_or_an_error_says_what_to_do(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "OLLAMA_HOST": f"127.0.0.1:{SILENT_PORT}"}
    assert find_ollama(environ, allow_sandbox=True) == OllamaEndpoint("sandbox")
    with pytest.raises(OllamaUnavailable, match="Install it"):
        find_ollama(environ)


@pytest.mark.parametrize("name", ["SINGLETRACK_OLLAMA_URL", "OLLAMA_HOST"])
def test_a_named_server_that_is_silent_is_never_replaced(name: str) -> None:
    # 192.0.2.0/24 is set aside for documentation: nothing answers there (RFC 5737).
    with pytest.raises(OllamaUnavailable, match=f"{name} names http://192.0.2.1:11434"):
        find_ollama({name: "192.0.2.1"}, allow_sandbox=True)


@pytest.fixture
def sandbox_is_there() -> None:
    try:
        build_sandbox()
    except SandboxUnavailable as error:
        pytest.skip(str(error))


def test_the_sandbox_is_built_once_and_complete(sandbox_is_there: None) -> None:
    files = build_sandbox()
    assert files.root.parent == default_cache()
    assert os.access(files.binary, os.X_OK)
    before = files.binary.stat().st_mtime_ns
    assert build_sandbox() == files
    assert files.binary.stat().st_mtime_ns == before
    assert not list(files.root.parent.glob(".building-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is for Linux")
class TestABuildThatFails:
    def test_without_a_package_index_pip_is_quoted_and_nothing_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox_is_there: None
    ) -> None:
        for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(SandboxUnavailable, match=r"(?s)reaches a Python package index.*No matching distribution"):
            build_sandbox(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["build.lock"]

    def test_without_a_compiler_it_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox_is_there: None
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SandboxUnavailable, match="apt install gcc"):
            build_sandbox(tmp_path / "cache")

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path: Path, sandbox_is_there: None) -> None:
        in_the_way = tmp_path / "file"
        in_the_way.touch()
        with pytest.raises(SandboxUnavailable, match="SINGLETRACK_CACHE_DIR"):
            build_sandbox(in_the_way / "cache")
