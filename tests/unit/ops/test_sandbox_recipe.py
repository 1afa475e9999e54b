"""The sandbox says why it cannot be had, and takes from the wheels only what it needs."""

import platform
from pathlib import Path, PurePosixPath

import pytest

from singletrack_ops.embedded import ollama_sandbox
from singletrack_ops.embedded.ollama_sandbox import _has_avx2, _target, build_sandbox, default_cache
from singletrack_ops.errors import SandboxUnavailable


def test_another_processor_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(SandboxUnavailable, match=r"aarch64.*https://ollama.com/download"):
        build_sandbox(tmp_path)


def test_a_download_is_told_of_the_first_time_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ollama_sandbox, "_require_platform", lambda: None)
    monkeypatch.setattr(ollama_sandbox, "_build", lambda _, final: final.mkdir())
    said: list[str] = []
    for _ in range(2):
        build_sandbox(tmp_path, said.append)
    (line,) = said
    assert "160 MB" in line


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx2 sse", True), ("fpu avx sse avx2", True), ("fpu avx", False)]
)
def test_old_processors_are_told_apart(tmp_path: Path, flags: str, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert _has_avx2(cpuinfo) is expected


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"SINGLETRACK_CACHE_DIR": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own/ollama-sandbox"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/singletrack/ollama-sandbox"),
        ({}, str(Path.home() / ".cache/singletrack/ollama-sandbox")),
    ],
)
def test_the_cache_is_where_the_user_wants_it(environ: dict[str, str], folder: str) -> None:
    assert default_cache(environ) == Path(folder)


@pytest.mark.parametrize(
    ("inside", "target"),
    [
        ("bigdl/cpp/libs/ollama/ollama-lib", "ollama/ollama-lib"),
        ("intel_sycl_rt-1.data/data/lib/libsycl.so.8", "lib/libsycl.so.8"),
        ("bigdl/cpp/libs/ollama/libggml-sycl.so", None),
        ("bigdl/cpp/libs/llama_cpp/libllama.so", None),
        ("intel_sycl_rt-1.data/data/lib/libsycl.so.8.0.0", None),
        ("bigdl/cpp/libs/ollama/../../evil", None),
    ],
)
def test_only_what_is_needed_is_unpacked(inside: str, target: str | None) -> None:
    found = _target(PurePosixPath(inside))
    assert (None if found is None else str(found)) == target
