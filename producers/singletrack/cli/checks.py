"""The checks of `singletrack doctor`. Imports nothing heavy: torch and the driver are examined from outside."""

import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from singletrack.cli.context import TrackTarget
from singletrack.cli.findings import Finding, installed
from singletrack.cli.gpu_checks import check_gpu, describe_remote
from singletrack.cli.ollama_check import check_ollama
from singletrack.reading.neighbours import other_tracks
from singletrack.reading.snapshots import HOW_TO_START, SnapshotReader
from singletrack.wire.link import RedisLink
from singletrack.wire.settings import ClientSettings, address, load_settings
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable, SingletrackError
from singletrack_tasks.ollama_address import server_name
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import GPUResourceStatus

HOW_TO_START_BEAT = "Start it with `singletrack up` or `celery -A singletrack_worker beat`, or read its log."

_TIMEOUT_S = 5.0
_SOON = "Ask again in a minute: if beat runs, one has come by then."
# Clocks that are set by NTP agree to much less.
_CLOCKS_APART_S = 2.0
_LOCAL_DIR = "local-dir:"
_WEIGHTS_FILES = ("open_clip_config.json", "open_clip_model.safetensors")
_SMALLEST_REDIS = (6, 2)


class HostSettings(BaseSettings):
    """The worker's settings that the doctor needs, from the same variables."""

    model_config = SettingsConfigDict(env_prefix="SINGLETRACK_", env_ignore_empty=True, extra="ignore")

    gpu: str = "auto"
    gpu_index: str | None = None
    vlm_model: str = "qwen2.5vl:7b"
    clip_weights: str = "ViT-B-32/laion2b_s34b_b79k"
    ollama_url: str = Field(
        default="http://127.0.0.1:11434", validation_alias=AliasChoices("SINGLETRACK_OLLAMA_URL", "OLLAMA_HOST")
    )


def run_checks(target: TrackTarget) -> list[Finding]:
    """Check Redis and the worker, and what a GPU host needs.

    The latter is a problem only if this machine is the GPU host: if no worker serves, or the one that serves runs here.
    On a machine without torch, whose worker runs elsewhere, what that one has is told instead.
    """
    try:
        settings = load_settings(target.redis_url, target.track)
    except InvalidConfiguration as error:
        return [Finding("settings", "problem", error.message, "Correct the variable or the option.")]
    link = RedisLink(settings)
    try:
        findings = [_redis(link, settings), *_clock(link)]
        status, worker = _worker(link)
        return [*findings, *worker, *_host(link, status)]
    finally:
        link.close()


def _host(link: RedisLink, status: GPUResourceStatus | None) -> list[Finding]:
    """Check what a GPU host needs, where this machine is one or may be."""
    elsewhere = status is not None and status.worker.host != platform.node()
    if status is not None and elsewhere and installed("torch") is None:
        return [describe_remote(status)]
    host = HostSettings()
    needed = [
        *check_gpu(host.gpu, host.gpu_index),
        _packages(host),
        _ollama(host),
        *_sharing(link, host),
        _weights(host),
    ]
    return [it.softened("not needed here: the worker runs elsewhere") for it in needed] if elsewhere else needed


def _sharing(link: RedisLink, host: HostSettings) -> list[Finding]:
    """Tell whether another track uses the Ollama server."""
    try:
        server = server_name(host.ollama_url, platform.node())
        others = other_tracks(link, server)
    except (ValueError, RedisUnavailable):
        return []  # other checks tell what is wrong
    if not others or host.gpu != "auto":
        return []
    text = f"{server} is that of {', '.join(others)} as well: each track unloads models without regard to the other"
    advice = "Start a server for each track that sees its GPU alone, and name it in SINGLETRACK_OLLAMA_URL."
    return [Finding("Ollama of its own", "problem", text, advice)]


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


def _clock(link: RedisLink) -> list[Finding]:
    try:
        with link.reaching() as client:
            before_s = time.time()
            answer: Any = client.time()
            after_s = time.time()
    except (RedisUnavailable, InvalidConfiguration):
        return []
    ahead_s = (before_s + after_s) / 2 - (answer[0] + answer[1] / 1e6)
    if abs(ahead_s) < _CLOCKS_APART_S + (after_s - before_s):
        return [Finding("clock", "ok", "this machine's clock agrees with that of Redis")]
    apart = f"{abs(ahead_s):,.0f} s {'ahead of' if ahead_s > 0 else 'behind'} that of Redis"
    advice = "Deadlines and checks do not go by it, but logs and Flower do. Have both machines set theirs by NTP."
    return [Finding("clock", "note", f"this machine's clock is {apart}", advice)]


def _worker(link: RedisLink) -> tuple[GPUResourceStatus | None, list[Finding]]:
    try:
        status = SnapshotReader(link).status()
    except (RedisUnavailable, InvalidConfiguration):
        return None, [Finding("worker", "problem", "unknown, because Redis cannot be read", HOW_TO_START)]
    except SingletrackError as error:
        return None, [Finding("worker", "problem", error.message)]
    worker = status.worker
    serves = Finding("worker", "ok", f"{worker.host} (pid {worker.pid}) serves {status.track} in mode {status.mode}")
    others = [reason for reason in status.reasons if reason.code is not DegradedCode.CHECKS_MISSING]
    return status, [serves, _beat(status), *(Finding("degraded", "note", f"{r.code}: {r.message}") for r in others)]


def _beat(status: GPUResourceStatus) -> Finding:
    """Tell whether beat runs by the checks that it sends."""
    missing = next((reason for reason in status.reasons if reason.code is DegradedCode.CHECKS_MISSING), None)
    if missing is not None:
        return Finding("beat", "problem", missing.message, HOW_TO_START_BEAT)
    if status.last_check_unix_s is None:
        up_s = max(0.0, status.read_unix_s - status.worker.started_unix_s)
        return Finding("beat", "note", f"no check has come since the worker started {up_s:,.0f} s ago", _SOON)
    age_s = max(0.0, status.read_unix_s - status.last_check_unix_s)
    return Finding("beat", "ok", f"its last check came {age_s:,.0f} s ago")


def _packages(_: HostSettings) -> Finding:
    found = {name: installed(name) for name in ("torch", "open-clip-torch", "nvidia-ml-py", "flower")}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        advice = "On the GPU host: `pip install 'singletrack[worker]'`."
        return Finding("packages", "problem", f"not installed: {', '.join(missing)}", advice)
    return Finding("packages", "ok", ", ".join(f"{name} {number}" for name, number in found.items()))


def _ollama(host: HostSettings) -> Finding:
    return Finding("Ollama", *check_ollama(host.ollama_url, host.vlm_model))


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
        return Finding("CLIP weights", "ok", f"{name} is in the Hugging Face cache")
    advice = (
        "The worker downloads them at its first start. Without a network, set SINGLETRACK_CLIP_WEIGHTS to local-dir:/…"
    )
    return Finding("CLIP weights", "note", f"{name} was not found in the Hugging Face cache", advice)


def _hub_folders() -> Iterator[Path]:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return cache.glob("models--*")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
