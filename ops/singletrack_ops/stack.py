"""The whole stack on one machine: what is missing of it is started, what is there is used."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, Self

from singletrack import Client
from singletrack.wire.settings import address
from singletrack_ops.embedded.child import Child
from singletrack_ops.embedded.files import make_folder, write_private
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.redis_server import EmbeddedRedis, find_embedded_redis
from singletrack_ops.embedded.tiny_clip import is_complete
from singletrack_ops.errors import AlreadyServed, OllamaUnavailable, OpsError, PartEnded
from singletrack_ops.services import (
    METRICS_PORT_SETTING,
    metrics_port,
    metrics_url,
    read_status,
    require_worker_packages,
    serving_worker,
    start_beat,
    start_flower,
    start_worker,
    wait_for_clip,
)
from singletrack_tasks.errors import RedisUnavailable

GpuChoice = Literal["auto", "simulated"]

WORKER_GRACE_S = 60.0
CLIP_WAIT_S = 120.0
CLIENT_FILE = "singletrack.env"
_REDIS_URL = "SINGLETRACK_REDIS_URL"
# What `singletrack doctor` looks at, besides what a client needs.
_TOLD = ("SINGLETRACK_OLLAMA_URL", "SINGLETRACK_VLM_MODEL", "SINGLETRACK_CLIP_WEIGHTS", "SINGLETRACK_GPU")
_LOCAL_DIR = "local-dir:"
_OTHERS_GRACE_S = 10.0
_HURRY_GRACE_S = 1.0
_POLL_S = 0.2
# Nothing listens on the discard port: a worker that is to have no Ollama must not find the user's own.
_NO_OLLAMA = "http://127.0.0.1:9"


class Stack:
    """Redis, Ollama, worker, beat and Flower, as far as they are wanted; `stop` ends what was started here.

    `redis` and `ollama` are None for a server that is not ours, or that is not there; `ollama_problem` says then
    why there is no Ollama. `metrics_url` is None where the worker serves no metrics: its log says why. `env` is what a
    client's environment needs.
    """

    worker: Child
    beat: Child | None = None
    flower: Child | None = None
    flower_url: str | None = None
    metrics_url: str | None = None
    redis: EmbeddedRedis | None = None
    ollama: EmbeddedOllama | None = None
    ollama_problem: str = ""

    def __init__(self, folder: Path, environ: Mapping[str, str], extra_env: Mapping[str, str]) -> None:
        self.folder = folder.resolve()
        self._environ = environ
        # A user's settings for Celery are for an app of their own: CELERY_BROKER_URL would win over ours.
        self._worker_env = {name: value for name, value in environ.items() if not name.startswith("CELERY_")}
        self._worker_env.update(extra_env)
        self._children: list[Child] = []
        self._cleanup = ExitStack()
        self._worker_grace_s = WORKER_GRACE_S
        self.redis_url = ""

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        environ: Mapping[str, str] | None = None,
        with_beat: bool = True,
        with_flower: bool = True,
        flower_port: int | None = None,
        own_ollama: bool = True,
        allow_sandbox: bool = False,
        tiny_clip: bool = False,
        gpu: GpuChoice = "auto",
        extra_env: Mapping[str, str] | None = None,
        clip_wait_s: float = CLIP_WAIT_S,
        say: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Start what is missing, data and logs in `folder`, and return when all of it answers.

        The user's Ollama is looked for with `own_ollama`, the sandbox is taken with `allow_sandbox`; without either
        the stack goes on degraded. `tiny_clip` makes untrained weights where SINGLETRACK_CLIP_WEIGHTS names none.
        `extra_env` is for worker, beat and Flower. CLIP is waited for up to `clip_wait_s` seconds, 0 for not at all.
        Raises `InvalidConfiguration` for a folder or a password that is of no use, `AlreadyServed`, `RedisUnavailable`
        for a Redis that was asked for and does not answer, and `OpsError` with the end of a log; nothing is left
        running then.
        """
        require_worker_packages()
        stack = cls(folder, os.environ if environ is None else environ, extra_env or {})
        make_folder(stack.folder)
        try:
            stack._start_redis(say)
            stack._refuse_second_worker()
            stack._start_ollama(say, own=own_ollama, sandbox=allow_sandbox)
            stack._configure(say, gpu=gpu, tiny_clip=tiny_clip)
            stack._write_client_file()
            stack._start_worker(say, clip_wait_s)
            stack._start_rest(say, with_beat=with_beat, with_flower=with_flower, flower_port=flower_port)
        except BaseException:  # an interrupt by the user included: what was started must not stay
            stack.stop(worker_grace_s=_HURRY_GRACE_S)
            raise
        return stack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """What the environment of a client needs."""
        track = self._worker_env.get("SINGLETRACK_TRACK")
        return {_REDIS_URL: self.redis_url} | ({"SINGLETRACK_TRACK": track} if track else {})

    @property
    def worker_env(self) -> Mapping[str, str]:
        """The whole environment of the worker."""
        return self._worker_env

    @property
    def client_file(self) -> Path:
        """The file that other shells can source; there while a stack with an embedded Redis runs."""
        return self.folder / CLIENT_FILE

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes that were started here, in that order."""
        return tuple(self._children)

    def client(self) -> Client:
        """Make a client of this stack; the caller closes it."""
        return Client(self.redis_url, self._worker_env.get("SINGLETRACK_TRACK"))

    @property
    def _redis_runs(self) -> bool:
        return self.redis is None or self.redis.child.alive

    def check(self) -> None:
        """Raise `PartEnded`, which has the end of the log, if a process that was started here has ended."""
        for child in self._children:
            if not child.alive:
                raise PartEnded(
                    f"{child.name} has ended with exit status {child.returncode}; {child.log_path} says:\n"
                    f"{child.log_tail()}"
                )

    def watch(self) -> NoReturn:
        """Wait for ever; raises `PartEnded` within a second of the end of any part."""
        while True:
            self.check()
            time.sleep(_POLL_S)

    def stop(self, worker_grace_s: float = WORKER_GRACE_S) -> None:
        """End what was started here, the last first; harmless when repeated.

        The worker may finish the operation in flight for up to `worker_grace_s`. An interrupt during that time ends
        it at once, and the rest is ended all the same.
        """
        self._worker_grace_s = worker_grace_s
        self._cleanup.close()

    def _start_redis(self, say: Callable[[str], None]) -> None:
        named = self._environ.get(_REDIS_URL, "").strip()
        self.redis_url = named or find_embedded_redis(self.folder) or self._start_embedded_redis(say)
        self._worker_env[_REDIS_URL] = self.redis_url
        with self.client() as client:
            try:
                read_status(client)
            except RedisUnavailable as error:
                if not named:
                    raise
                advice = f"Or unset {_REDIS_URL}, and `singletrack up` brings one along."
                raise RedisUnavailable(f"{error.message} {advice}", error.details) from error

    def _start_embedded_redis(self, say: Callable[[str], None]) -> str:
        say("starting Redis")
        self.redis = EmbeddedRedis.start(self.folder)
        self._cleanup.callback(self.redis.stop)
        self._children.append(self.redis.child)
        return self.redis.url

    def _write_client_file(self) -> None:
        if self._environ.get(_REDIS_URL, "").strip():
            return  # other shells have it already
        told = self.env | {name: self._worker_env[name] for name in _TOLD if self._worker_env.get(name)}
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in told.items())
        write_private(self.client_file, "".join(lines))
        if self.redis is not None:
            self._cleanup.callback(self.client_file.unlink, missing_ok=True)

    def _refuse_second_worker(self) -> None:
        with self.client() as client:
            worker = serving_worker(client)
            if worker is not None:
                raise AlreadyServed(
                    f"The track {client.track!r} on Redis at {address(self.redis_url)} is served already, by the "
                    f"worker with process id {worker.pid} on {worker.host}: one GPU, one worker. Nothing was started.",
                    {"pid": worker.pid, "host": worker.host},
                )

    def _start_ollama(self, say: Callable[[str], None], *, own: bool, sandbox: bool) -> None:
        if not own:
            self._worker_env["SINGLETRACK_OLLAMA_URL"] = _NO_OLLAMA
        if not (own or sandbox):
            self.ollama_problem = "No Ollama was asked for."
            return
        say("starting Ollama" if own else "starting the Ollama sandbox")
        try:
            self.ollama = (
                EmbeddedOllama.start(self.folder / "ollama", environ=self._worker_env, allow_sandbox=sandbox, say=say)
                if own
                else EmbeddedOllama.start_sandbox(self.folder / "ollama", say=say)
            )
        except OllamaUnavailable as error:
            self.ollama_problem = error.message
            say(f"without Ollama: {error.message}")
            return
        self._worker_env["SINGLETRACK_OLLAMA_URL"] = self.ollama.url
        if self.ollama.model is not None:
            self._worker_env["SINGLETRACK_VLM_MODEL"] = self.ollama.model
        if self.ollama.child is not None:
            self._cleanup.callback(self.ollama.stop)
            self._children.append(self.ollama.child)

    def _configure(self, say: Callable[[str], None], *, gpu: GpuChoice, tiny_clip: bool) -> None:
        env = self._worker_env
        if gpu == "simulated":
            env["SINGLETRACK_GPU"] = "simulated"
        weights = env.get("SINGLETRACK_CLIP_WEIGHTS", "").strip()
        if tiny_clip and not weights:
            weights = self._make_tiny_clip(say)
        if weights.startswith(_LOCAL_DIR):
            # The worker runs in another folder.
            folder = Path(weights.removeprefix(_LOCAL_DIR).strip()).expanduser()
            weights = f"{_LOCAL_DIR}{folder.absolute()}"
        if weights:
            env["SINGLETRACK_CLIP_WEIGHTS"] = weights
        env[METRICS_PORT_SETTING] = metrics_port(env)

    def _make_tiny_clip(self, say: Callable[[str], None]) -> str:
        folder = self.folder / "tiny-clip"
        if not is_complete(folder):
            say("making the tiny CLIP")
            # In a process of its own: it needs torch.
            command = [sys.executable, "-P", "-m", "singletrack_ops.embedded.tiny_clip", str(folder)]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                raise OpsError(f"The tiny CLIP could not be made in {folder}: {made.stderr.strip()[-2000:]}")
        return f"{_LOCAL_DIR}{folder}"

    def _start_worker(self, say: Callable[[str], None], clip_wait_s: float) -> None:
        say("starting the worker")
        with self.client() as client:
            self.worker = start_worker(self.folder, self._worker_env, client)
            self._children.append(self.worker)
            self._cleanup.callback(self._end_worker)
            status = read_status(client)
            self.metrics_url = None if status is None else metrics_url(self._worker_env, status.worker)
            if clip_wait_s:
                wait_for_clip(self.worker, client, clip_wait_s)

    def _start_rest(
        self, say: Callable[[str], None], *, with_beat: bool, with_flower: bool, flower_port: int | None
    ) -> None:
        if with_beat:
            say("starting beat")
            self.beat = start_beat(self.folder, self._worker_env)
            self._keep(self.beat)
        if with_flower:
            say("starting Flower")
            flower = start_flower(self.folder, self._worker_env, flower_port)
            self.flower, self.flower_url = flower.child, flower.url
            self._keep(flower.child)

    def _keep(self, child: Child) -> None:
        self._children.append(child)
        self._cleanup.callback(child.stop, _OTHERS_GRACE_S)

    def _end_worker(self) -> None:
        self.worker.ask_to_end()  # and not its encoders, which the operation in flight needs
        try:
            self.worker.wait(self._worker_grace_s if self._redis_runs else _HURRY_GRACE_S)
        finally:
            self.worker.stop(_HURRY_GRACE_S)
