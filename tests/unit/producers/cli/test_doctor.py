"""What the doctor finds of beat, and of the clocks."""

import platform
import time
from collections.abc import Iterator

import pytest

from singletrack.cli import checks
from singletrack.cli.checks import run_checks
from singletrack.cli.context import TrackTarget
from singletrack.cli.findings import Finding
from singletrack_tasks.keys import ollama_tracks
from singletrack_tasks.ollama_address import server_name
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import GpuInfo
from tests.addresses import SILENT_OLLAMA
from tests.unit.gpu.ollama.ollama_script import Act, Handler, Script, says, scripted, sends
from tests.unit.producers.conftest import LONELY_TRACK, Backstage
from tests.unit.producers.statuses import publish, status


def finding(redis_url: str, what: str) -> Finding:
    """What the doctor found of one thing, on the track without a worker."""
    (found,) = [found for found in run_checks(TrackTarget(redis_url, LONELY_TRACK)) if found.what == what]
    return found


def test_it_tells_whether_beat_runs(redis_url: str, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status())
    assert finding(redis_url, "beat").verdict == "note"
    publish(lonely_backstage, status(last_check_unix_s=time.time() - 7))
    comes = finding(redis_url, "beat")
    assert comes.verdict == "ok"
    assert "its last check came" in comes.text
    missing = Degradation(code=DegradedCode.CHECKS_MISSING, message="no check has come", since_unix_s=0)
    publish(lonely_backstage, status(degraded=True, reasons=(missing,)))
    dead = finding(redis_url, "beat")
    assert (dead.verdict, dead.text) == ("problem", "no check has come")
    assert "celery -A singletrack_worker beat" in dead.advice


def test_on_an_agents_machine_it_tells_of_the_worker_and_is_content(
    redis_url: str, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lonely_backstage, status(gpu=GpuInfo(name="RTX 3060", uuid="GPU-1"), last_check_unix_s=time.time()))
    monkeypatch.setattr(checks, "installed", lambda _: None)
    findings = run_checks(TrackTarget(redis_url, LONELY_TRACK))
    assert {found.what for found in findings} == {"Redis", "clock", "worker", "beat", "GPU"}
    assert {found.verdict for found in findings} == {"ok"}
    assert "here has RTX 3060" in findings[-1].text


def test_it_tells_that_another_track_uses_the_ollama_server(
    redis_url: str, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SINGLETRACK_GPU", raising=False)
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", SILENT_OLLAMA)
    key = ollama_tracks(server_name(SILENT_OLLAMA, platform.node()))
    try:
        lonely_backstage.redis.zadd(key, {LONELY_TRACK: 1, "gpu1": 1})
        shared = finding(redis_url, "Ollama of its own")
        assert shared.verdict == "problem"
        assert "is that of gpu1 as well" in shared.text
        assert "SINGLETRACK_OLLAMA_URL" in shared.advice
    finally:
        lonely_backstage.redis.delete(key)
    findings = run_checks(TrackTarget(redis_url, LONELY_TRACK))
    assert "Ollama of its own" not in {found.what for found in findings}


@pytest.mark.parametrize("url", ["http://:hunter2@gpu-box:1?x=1", "http//gpu-box"])
def test_an_address_that_is_none_is_a_finding(redis_url: str, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", url)
    found = finding(redis_url, "Ollama")
    assert found.verdict == "problem"
    assert "is not the address of an Ollama server" in found.text
    assert "hunter2" not in found.text


def lists(*names: str) -> Act:
    return says({"models": [{"name": name} for name in names]})


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """An Ollama that the doctor finds, with a model that takes images."""
    with scripted() as script:
        monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", script.url)
        monkeypatch.setenv("SINGLETRACK_VLM_MODEL", "eye")
        script.on("/api/tags", lists("eye:latest", "ear:7b"))
        script.on("/api/show", says({"capabilities": ["completion", "vision"]}))
        yield script


@pytest.mark.parametrize("model", ["eye", "Eye:latest", "library/eye", "registry.ollama.ai/library/eye:latest"])
def test_a_model_is_found_by_all_its_names(
    redis_url: str, ollama: Script, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setenv("SINGLETRACK_VLM_MODEL", model)
    found = finding(redis_url, "Ollama")
    assert (found.verdict, found.text) == ("ok", f"{ollama.url} answers and has {model}")


def test_a_model_that_is_not_there_is_pulled_or_another_one_is_named(redis_url: str, ollama: Script) -> None:
    ollama.on("/api/tags", lists("eye:7b", *(f"model-{number}" for number in range(1000))))
    found = finding(redis_url, "Ollama")
    assert found.verdict == "problem"
    assert "does not have eye. It has: eye:7b, model-0" in found.text
    assert len(found.text) < 500
    assert "`ollama pull eye`" in found.advice


def test_a_model_that_takes_no_images_is_told_of(redis_url: str, ollama: Script) -> None:
    ollama.on("/api/show", says({"capabilities": ["completion"]}))
    found = finding(redis_url, "Ollama")
    assert found.verdict == "note"
    assert "takes no images" in found.text
    ollama.on("/api/show", says({}))
    assert finding(redis_url, "Ollama").verdict == "ok"


def test_this_machine_is_not_asked_through_a_proxy(
    redis_url: str, ollama: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", SILENT_OLLAMA)
    assert finding(redis_url, "Ollama").verdict == "ok"


def test_a_proxy_in_the_way_is_named(redis_url: str, ollama: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", "http://gpu-box.invalid:1")
    monkeypatch.setenv("HTTP_PROXY", ollama.url.replace("//", "//me:hunter2@"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    ollama.on("http://gpu-box.invalid:1/api/tags", sends(b"<h1>blocked</h1>", 502))
    found = finding(redis_url, "Ollama")
    assert found.verdict == "problem"
    assert f"through the proxy {ollama.url}" in found.text
    assert "gpu-box.invalid to NO_PROXY" in found.advice
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (307, "redirects to https://gpu-box/ollama"),
        (401, "wants a user and password"),
        (403, "forbids it"),
        (404, "answers HTTP 404"),
        (500, "answers HTTP 500"),
    ],
)
def test_a_server_that_refuses_is_told_of(redis_url: str, ollama: Script, status: int, said: str) -> None:
    def refuse(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Location", "https://me:hunter2@gpu-box/ollama")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    ollama.on("/api/tags", refuse)
    found = finding(redis_url, "Ollama")
    assert found.verdict == "problem"
    assert said in found.text
    assert "SINGLETRACK_OLLAMA_URL" in found.advice
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("body", [b"<h1>It works!</h1>", b"[]", b"{}", b'{"models": null}', b'{"models": [{}]}'])
def test_a_server_that_is_not_ollamas_has_answered(redis_url: str, ollama: Script, body: bytes) -> None:
    ollama.on("/api/tags", sends(body))
    found = finding(redis_url, "Ollama")
    assert found.text == f"{ollama.url} answers, but not as Ollama does"
    assert "Is it an Ollama server?" in found.advice
    ollama.on("/api/tags", lists("eye"))
    ollama.on("/api/show", sends(body))
    assert finding(redis_url, "Ollama").verdict == ("problem" if body[:1] in b"<[" else "ok")


def test_a_server_that_speaks_no_tls_is_told_of(
    redis_url: str, ollama: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", ollama.url.replace("http:", "https:"))
    found = finding(redis_url, "Ollama")
    assert "cannot be spoken to over TLS" in found.text
    assert "Write http://" in found.advice


@pytest.mark.parametrize(
    ("by_s", "verdict", "said"), [(0, "ok", "agrees"), (90, "note", "ahead"), (-90, "note", "behind")]
)
def test_it_tells_whether_this_machines_clock_is_off(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, by_s: float, verdict: str, said: str
) -> None:
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + by_s)
    found = finding(redis_url, "clock")
    assert found.verdict == verdict
    assert said in found.text
