"""Every setting of the worker, from the environment (`SINGLETRACK_*`), checked as a whole at the start."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.keys import PAYLOAD_BYTES_MAX, QUEUE_MAX, Keys
from singletrack_tasks.ollama_address import client_url
from singletrack_tasks.redis_address import (
    CA_FILE_HELP,
    CERT_FILE_HELP,
    KEY_FILE_HELP,
    check_address,
    check_file,
    with_tls,
)
from singletrack_tasks.status import ResizeMode

MIB = 1024 * 1024
# Ollama unloads a model by itself this long after the idle check should have done so: the memory is freed even if the
# worker dies.
KEEP_ALIVE_MARGIN_S = 120.0
# With idle unloading off (R4.3) the model stays for a day after each question, never for ever.
KEEP_ALIVE_WITHOUT_TIMEOUT_S = 24 * 3600.0
METRICS_PORT = 9808
STARTS_MAX = 3

_GPU = re.compile(r"[0-9]+|(GPU|MIG)-[0-9A-Za-z/-]+")
LogFormat = Literal["auto", "json", "text"]


class GPUResourceConfig(BaseSettings):
    """The settings of one track; times in seconds, memory in MiB.

    `gpu` is `auto` (the GPU that `gpu_index` names, or the CPU without a driver), `none` (always the CPU) or
    `simulated`, with the sizes in `simulated_*`. `clip_mb` is what CLIP is assumed to need until its first migration
    was measured. `foreign_models` says what to do about models that somebody else loads on the Ollama server; they are
    reported in either case. `lock_dir` must be the same for all workers of a host. `grace_s` is how long the operation
    in flight may take to finish when the worker is told to end. `metrics_port` 0 serves no metrics. `log_format` `auto`
    means text on a terminal and JSON elsewhere.
    """

    model_config = SettingsConfigDict(
        env_prefix="SINGLETRACK_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="The Redis server, for example `redis://:PASSWORD@HOST:6379/0`; `rediss://` for TLS. Special "
        "characters of the password are percent-encoded: `@` as `%40`.",
    )
    track: str = Field(
        default="gpu0",
        description="The name of the track: one GPU, one queue, one worker. 1 to 32 of a-z, 0-9 and `-`.",
    )

    redis_ca_file: Path | None = Field(default=None, description=CA_FILE_HELP)
    redis_cert_file: Path | None = Field(default=None, description=CERT_FILE_HELP)
    redis_key_file: Path | None = Field(default=None, description=KEY_FILE_HELP)

    gpu: Literal["auto", "none", "simulated"] = Field(
        default="auto",
        description="`auto`: the NVIDIA GPU of `SINGLETRACK_GPU_INDEX`, or the CPU where there is no driver. "
        "`none`: the CPU, whatever is there. `simulated`: a GPU that is not there, for trials.",
    )
    gpu_index: str | None = Field(
        default=None,
        coerce_numbers_to_str=True,
        description="Which GPU: its number in `nvidia-smi`, its UUID, or that of a MIG instance. Unset: the first that "
        "`CUDA_VISIBLE_DEVICES` names, else number 0. If both are set, they have to agree.",
    )
    simulated_total_mb: int = Field(default=8192, gt=0, description="Memory of the simulated GPU.")
    simulated_vlm_mb: int = Field(default=6600, gt=0, description="What the VLM takes on the simulated GPU.")
    simulated_clip_mb: int = Field(default=1400, gt=0, description="What CLIP takes on the simulated GPU.")

    ollama_url: str = Field(
        default="http://127.0.0.1:11434",
        validation_alias=AliasChoices("SINGLETRACK_OLLAMA_URL", "OLLAMA_HOST", "ollama_url"),
        description="The Ollama server. `OLLAMA_HOST` is understood as well.",
    )
    vlm_model: str = Field(
        default="qwen2.5vl:7b", min_length=1, description="The model that answers questions; `ollama pull` it first."
    )
    vlm_num_ctx: int | None = Field(
        default=None,
        ge=256,
        description="The context, in tokens, that the model is loaded with. Unset: the model's own default.",
    )
    idle_timeout_s: float = Field(
        default=300.0, ge=0, description="Unload a VLM that nobody has asked anything for this long. 0: never."
    )
    tick_interval_s: float = Field(
        default=15.0,
        gt=0,
        description="How often beat has the worker look for an idle VLM, and whether the mode holds. Below 120, and at "
        "most the idle timeout.",
    )
    load_timeout_s: float = Field(default=300.0, gt=0, description="How long one attempt to load the VLM may take.")
    answer_timeout_s: float = Field(default=300.0, gt=0, description="How long one answer of the VLM may take.")
    unload_timeout_s: float = Field(default=30.0, gt=0, description="How long the VLM may take to unload.")
    vram_release_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="How long the driver may take to report the memory of a tenant that left as free.",
    )
    retry_attempts: int = Field(default=3, ge=1, le=3, description="How often a load or a question is tried.")
    retry_pause_s: float = Field(
        default=1.0, ge=0, description="The pause before the second attempt; it doubles with each further one."
    )
    foreign_models: Literal["report", "unload"] = Field(
        default="report",
        description="What to do about models that somebody else loads at the Ollama server: report them, or report "
        "and unload them at each check.",
    )

    clip_weights: str = Field(
        default="ViT-B-32/laion2b_s34b_b79k",
        min_length=1,
        description="`MODEL/TAG` of open_clip, or `local-dir:FOLDER` with `open_clip_config.json` and "
        "`open_clip_model.safetensors` in it.",
    )
    clip_resize_mode: ResizeMode = Field(
        default=ResizeMode.SQUASH,
        description="How an image becomes a square: `squash` stretches it, `longest` pads it. Another value makes "
        "other embeddings.",
    )
    clip_threads: int | None = Field(
        default=None, ge=1, description="Threads of CLIP on the CPU. Unset: torch decides."
    )
    clip_mb: int = Field(
        default=1100, gt=0, description="What CLIP is taken to need on the GPU until its first migration was measured."
    )
    encode_timeout_s: float = Field(
        default=60.0, gt=0, description="How long CLIP may take for a batch of 32 images or texts."
    )

    log_format: LogFormat = Field(
        default="auto", description="`auto`: text on a terminal, JSON elsewhere, one entry a line."
    )
    standby: bool = Field(
        default=False,
        description="1: a worker whose GPU or track is already served waits and takes over, instead of ending with "
        "exit status 75.",
    )
    lock_dir: Path | None = Field(
        default=None,
        description="Where the lock on the GPU lies; the same for all workers of a host. Unset: that of the "
        "compose file, `/var/lib/singletrack-lock`, if it exists; else `/run/lock`, or the folder for temporary files.",
    )
    flight_dir: Path | None = Field(
        default=None,
        description="Where the flight recorder writes, at most 20 files a track. Unset: "
        "`~/.local/state/singletrack/flights`.",
    )
    grace_s: float = Field(
        default=45.0,
        ge=0,
        description="How long the operation in flight may go on when the worker is told to end; then it goes back on "
        "the queue.",
    )
    starts_max: int = Field(
        default=STARTS_MAX,
        ge=1,
        le=10,
        description="How often a job may be started without an end before it becomes a dead letter. Deaths of workers "
        "that it has no part in allow it more, 10 at most.",
    )
    queue_max: int = Field(
        default=QUEUE_MAX, ge=1, description="How many messages may wait; one more is refused at the sender."
    )
    payloads_max_mb: int = Field(
        default=PAYLOAD_BYTES_MAX // MIB,
        ge=1,
        description="How much image data may wait in Redis; what would exceed it is refused at the sender.",
    )

    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="The address on which the worker serves its metrics."
    )
    metrics_port: int = Field(
        default=METRICS_PORT, ge=0, le=65535, description="The port of the metrics. 0: none are served."
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment; raises `InvalidConfiguration`, which names each invalid variable."""
        try:
            return cls()
        except ValidationError as error:
            # Not `from error`: pydantic's text contains the password in a URL.
            raise InvalidConfiguration(_problems(error)) from None

    @property
    def keys(self) -> Keys:
        """The Redis keys of the track."""
        return Keys(self.track)

    @property
    def redis_address(self) -> str:
        """The URL of Redis, password included, with everything that TLS needs."""
        files = {"ca_file": self.redis_ca_file, "cert_file": self.redis_cert_file, "key_file": self.redis_key_file}
        return with_tls(self.redis_url.get_secret_value(), **files)

    @property
    def keep_alive_s(self) -> float:
        """How long, in seconds, Ollama keeps the model after a question if nobody unloads it."""
        return self.idle_timeout_s + KEEP_ALIVE_MARGIN_S if self.idle_timeout_s else KEEP_ALIVE_WITHOUT_TIMEOUT_S

    @field_validator("track")
    @classmethod
    def _names_a_track(cls, track: str) -> str:
        Keys(track)
        return track

    @field_validator("gpu_index")
    @classmethod
    def _names_a_gpu(cls, gpu: str | None) -> str | None:
        if gpu is not None and not _GPU.fullmatch(gpu):
            raise ValueError("it must be the number of a GPU in `nvidia-smi`, or a UUID as in `nvidia-smi -L`")
        return gpu

    @field_validator("ollama_url")
    @classmethod
    def _as_ollama_reads_it(cls, url: str) -> str:
        return client_url(url)

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis_url(cls, url: SecretStr) -> SecretStr:
        check_address(url.get_secret_value())
        return url

    @field_validator("redis_ca_file", "redis_cert_file", "redis_key_file")
    @classmethod
    def _is_there(cls, file: Path | None) -> Path | None:
        return check_file(file)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if 0 < self.idle_timeout_s < self.tick_interval_s:
            raise ValueError(
                f"tick_interval_s ({self.tick_interval_s:g}) is longer than idle_timeout_s ({self.idle_timeout_s:g}): "
                "an idle VLM would be noticed too late"
            )
        if self.idle_timeout_s and self.tick_interval_s >= KEEP_ALIVE_MARGIN_S:
            raise ValueError(
                f"tick_interval_s ({self.tick_interval_s:g}) must be below {KEEP_ALIVE_MARGIN_S:g}: Ollama would "
                "unload an idle VLM before the check does"
            )
        if self.gpu == "simulated" and max(self.simulated_vlm_mb, self.simulated_clip_mb) > self.simulated_total_mb:
            raise ValueError("a tenant of the simulated GPU is larger than the GPU")
        return self


def _problems(error: ValidationError) -> str:
    """Say in one line which variables are invalid, and why."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{_variable(problem['loc'])}: {problem['msg']}" for problem in problems)


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]).upper() if location else "SETTINGS"
    return name if name.startswith(("SINGLETRACK_", "OLLAMA_", "SETTINGS")) else f"SINGLETRACK_{name}"
