"""The checks of `singletrack doctor`. Nothing heavy is imported: torch and the driver are asked from outside."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import requests
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from singletrack.cli.context import Target
from singletrack.reading.snapshots import HOW_TO_START, SnapshotReader
from singletrack.wire.link import RedisLink
from singletrack.wire.settings import ClientSettings, address, load_settings
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable, SingletrackError
from singletrack_tasks.status import GPUResourceStatus

Verdict = Literal["ok", "note", "problem"]

_TIMEOUT_S = 5.0
_LOCAL_DIR = "local-dir:"
_WEIGHTS_FILES = ("open_clip_config.json", "open_clip_model.safetensors")
_SMALLEST_REDIS = (6, 2)
# Asked in a process of its own: a driver that hangs must not hang the doctor.
_ASK_NVML = """
import json, pynvml
pynvml.nvmlInit()
handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
names = [pynvml.nvmlDeviceGetName(h) for h in handles]
totals = [pynvml.nvmlDeviceGetMemoryInfo(h).total // 2**20 for h in handles]
print(json.dumps({"driver": pynvml.nvmlSystemGetDriverVersion(), "gpus": list(zip(names, totals))}))
"""


class HostSettings(BaseSettings):
    """The worker's settings that the doctor needs, from the same variables."""

    model_config = SettingsConfigDict(env_prefix="SINGLETRACK_", env_ignore_empty=True, extra="ignore")

    gpu: str = "auto"
    vlm_model: str = "qwen2.5vl:7b"
    clip_weights: str = "ViT-B-32/laion2b_s34b_b79k"
    ollama_url: str = Field(
        default="http://127.0.0.1:11434", validation_alias=AliasChoices("SINGLETRACK_OLLAMA_URL", "OLLAMA_HOST")
    )


@dataclass(frozen=True)
class Finding:
    """The result of one check; a `note` could be better, but is not needed here."""

    what: str
    verdict: Verdict
    text: str
    advice: str = ""


def run_checks(target: Target) -> list[Finding]:
    """Check Redis and the worker, and what a GPU host needs.

    The latter is a problem only if this machine is the GPU host: no worker serves, or the one that serves runs here.
    """
    try:
        settings = load_settings(target.redis_url, target.track)
    except InvalidConfiguration as error:
        return [Finding("settings", "problem", error.message, "Correct the variable or the option.")]
    link = RedisLink(settings)
    try:
        findings = [_redis(link, settings)]
        status, worker = _worker(link)
    finally:
        link.close()
    elsewhere = status is not None and status.worker.host != platform.node()
    host = [check(HostSettings()) for check in (_driver, _packages, _ollama, _weights)]
    return [*findings, *worker, *(_softened(finding) if elsewhere else finding for finding in host)]


def _softened(finding: Finding) -> Finding:
    if finding.verdict != "problem":
        return finding
    return Finding(finding.what, "note", f"{finding.text} (not needed here: the worker runs elsewhere)")


def _redis(link: RedisLink, settings: ClientSettings) -> Finding:
    where = address(settings.redis_url)
    try:
        with link.reaching() as client:
            info: Any = client.info()
    except (RedisUnavailable, InvalidConfiguration) as error:
        return Finding("Redis", "problem", error.message)
    number = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in re.findall(r"\d+", number)[:2]) < _SMALLEST_REDIS:
        return Finding("Redis", "problem", f"{where} is Redis {number}", "Install 6.2 or newer.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        advice = "Set `maxmemory-policy noeviction`: an evicted key is a lost job."
        return Finding("Redis", "problem", f"{where} evicts keys when it is full ({policy})", advice)
    return Finding("Redis", "ok", f"{where} answers, version {number}")


def _worker(link: RedisLink) -> tuple[GPUResourceStatus | None, list[Finding]]:
    try:
        status = SnapshotReader(link).status()
    except (RedisUnavailable, InvalidConfiguration):
        return None, [Finding("worker", "problem", "unknown, since Redis could not be asked", HOW_TO_START)]
    except SingletrackError as error:
        return None, [Finding("worker", "problem", error.message)]
    worker = status.worker
    serves = Finding("worker", "ok", f"{worker.host} (pid {worker.pid}) serves {status.track} in mode {status.mode}")
    return status, [serves, *(Finding("degraded", "note", f"{r.code}: {r.message}") for r in status.reasons)]


def _driver(host: HostSettings) -> Finding:
    if host.gpu != "auto":
        return Finding("GPU", "ok", f"{host.gpu}, as SINGLETRACK_GPU says; the driver was not asked")
    answer = _run([sys.executable, "-c", _ASK_NVML])
    if answer is not None:
        facts = json.loads(answer)
        gpus = ", ".join(f"{name} with {total:,} MB" for name, total in facts["gpus"]) or "no GPU"
        return Finding("GPU", "ok" if facts["gpus"] else "note", f"{gpus}, driver {facts['driver']}")
    if (smi := shutil.which("nvidia-smi")) and (names := _run([smi, "-L"])):
        advice = "Install NVML's bindings: `pip install nvidia-ml-py` (part of singletrack[worker])."
        if _version("nvidia-ml-py") is not None:
            advice = "NVML's bindings are installed, but cannot reach the driver's library libnvidia-ml."
        return Finding("GPU", "problem", f"{len(names.splitlines())} GPU by nvidia-smi, but no NVML", advice)
    bindings = " and `pip install 'singletrack[worker]'`" if _version("nvidia-ml-py") is None else ""
    advice = f"Everything runs on the CPU. With a GPU, install its driver{bindings}."
    return Finding("GPU", "note", "no NVIDIA driver answers", advice)


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * _TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # no answer is an answer
    return done.stdout


def _packages(_: HostSettings) -> Finding:
    installed = {name: _version(name) for name in ("torch", "open-clip-torch", "nvidia-ml-py", "flower")}
    missing = [name for name, number in installed.items() if number is None]
    if missing:
        advice = "On the GPU host: `pip install 'singletrack[worker]'`."
        return Finding("packages", "problem", f"not installed: {', '.join(missing)}", advice)
    return Finding("packages", "ok", ", ".join(f"{name} {number}" for name, number in installed.items()))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _ollama(host: HostSettings) -> Finding:
    from singletrack_tasks.ollama_address import client_url

    url = client_url(host.ollama_url)
    try:
        answer = requests.get(f"{url}/api/tags", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        models = [str(model["name"]) for model in answer.json()["models"]]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        advice = "Start it (`ollama serve`), or set SINGLETRACK_OLLAMA_URL to where it is."
        return Finding("Ollama", "problem", f"{url} does not answer: {type(error).__name__}", advice)
    wanted = host.vlm_model if ":" in host.vlm_model else f"{host.vlm_model}:latest"
    if wanted not in models:
        advice = f"`ollama pull {host.vlm_model}`, or set SINGLETRACK_VLM_MODEL to one that is there."
        have = ", ".join(models) or "none"
        return Finding("Ollama", "problem", f"{url} does not have {host.vlm_model}; it has: {have}", advice)
    return Finding("Ollama", "ok", f"{url} answers and has {host.vlm_model}")


def _weights(host: HostSettings) -> Finding:
    name = host.clip_weights
    if name.startswith(_LOCAL_DIR):
        folder = Path(name.removeprefix(_LOCAL_DIR)).expanduser()
        missing = [file for file in _WEIGHTS_FILES if not (folder / file).is_file()]
        if missing:
            advice = "Put open_clip's export of the model there, or set SINGLETRACK_CLIP_WEIGHTS."
            return Finding("CLIP weights", "problem", f"{folder} lacks {', '.join(missing)}", advice)
        return Finding("CLIP weights", "ok", f"in {folder}")
    if any(_letters(name) in _letters(folder.name) for folder in _hub_folders()):
        return Finding("CLIP weights", "ok", f"{name} is in the hub's cache")
    advice = (
        "The worker fetches them when it first starts; without a network set SINGLETRACK_CLIP_WEIGHTS to local-dir:/…"
    )
    return Finding("CLIP weights", "note", f"{name} was not recognised in the hub's cache", advice)


def _hub_folders() -> Iterator[Path]:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return cache.glob("models--*")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
