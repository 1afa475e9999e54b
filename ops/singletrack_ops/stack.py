"""The whole stack on one machine: uses the servers that run already, and starts the missing ones."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, Self

from singletrack import Client
from singletrack.wire.settings import address
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.redis_server import EmbeddedRedis, find_embedded_redis
from singletrack_ops.embedded.tiny_clip import ensure_tiny_clip
from singletrack_ops.environment import Environment
from singletrack_ops.errors import AlreadyServed, OllamaUnavailable, PartEnded
from singletrack_ops.local.child_process import Child
from singletrack_ops.local.data_folder import make_folder, write_private
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
from singletrack_ops.track_ollama import for_track
from singletrack_tasks.errors import RedisUnavailable

GpuChoice = Literal["auto", "simulated"]

WORKER_GRACE_S = 60.0
CLIP_WAIT_S = 120.0
CLIENT_FILE = "singletrack.env"
_HURRY_GRACE_S = 1.0
_POLL_S = 0.2


class Stack:
    """Redis, Ollama, worker, beat and Flower, as far as they are wanted; `stop` ends what was started here.

    `redis` is None for a server that was there already. `ollama` is None if there is none; `ollama_problem` says why.
    `metrics_url` is None if the worker serves no metrics; its log says why.
    """

    worker: Child
    beat: Child | None = None
    flower: Child | None = None
    flower_url: str | None = None
    metrics_url: str | None = None
    redis_url: str = ""
    redis: EmbeddedRedis | None = None
    ollama: EmbeddedOllama | None = None
    ollama_problem: str = ""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self.folder = folder.resolve()
        self._environment = environment
        self._children: list[Child] = []
        self._cleanup = ExitStack()
        self._worker_grace_s = WORKER_GRACE_S

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
        """Start what is missing, data and logs in `folder`, and return when everything answers.

        `own_ollama` looks for the user's Ollama, `allow_sandbox` falls back to the sandbox; with neither the stack is
        degraded. `tiny_clip` makes untrained weights unless SINGLETRACK_CLIP_WEIGHTS is set. `extra_env` is for
        worker, beat and Flower. `clip_wait_s` is how long to wait for CLIP, 0 for not at all.

        Raises `InvalidConfiguration` for an unusable folder or password, `AlreadyServed`, `RedisUnavailable` if the
        Redis of SINGLETRACK_REDIS_URL does not answer, and `OpsError` with the end of a log. Whatever it raises,
        nothing is left running.
        """
        require_worker_packages()
        stack = cls(folder, Environment(os.environ if environ is None else environ, extra_env or {}))
        make_folder(stack.folder)
        try:
            stack._start_redis(say)
            stack._refuse_second_worker()
            stack._start_ollama(say, own=own_ollama, sandbox=allow_sandbox, gpu=gpu)
            stack._configure(say, gpu=gpu, tiny_clip=tiny_clip)
            stack._write_client_file()
            stack._start_worker(say, clip_wait_s)
            stack._start_rest(say, with_beat=with_beat, with_flower=with_flower, flower_port=flower_port)
        except BaseException:  # Ctrl-C included
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
        """The variables that a client needs."""
        return self._environment.for_clients()

    @property
    def worker_env(self) -> Mapping[str, str]:
        """The worker's whole environment."""
        return self._environment.variables

    @property
    def client_file(self) -> Path:
        """The file that other shells can source; it exists while a stack with an embedded Redis runs."""
        return self.folder / CLIENT_FILE

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes that were started here, in that order."""
        return tuple(self._children)

    def client(self) -> Client:
        """Make a client of this stack; the caller closes it."""
        return Client(self.redis_url, self._environment.track)

    def check(self) -> None:
        """Raise `PartEnded` with the end of its log if a process that was started here has ended."""
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
        """End what was started here, in reverse order; may be repeated.

        The worker has `worker_grace_s` to finish the operation in flight. An interrupt ends that wait at once, and
        the other parts are ended all the same.
        """
        self._worker_grace_s = worker_grace_s
        self._cleanup.close()

    def _start_redis(self, say: Callable[[str], None]) -> None:
        named = self._environment.caller_redis_url
        self.redis_url = named or find_embedded_redis(self.folder) or self._start_embedded_redis(say)
        self._environment.use_redis(self.redis_url)
        with self.client() as client:
            try:
                read_status(client)
            except RedisUnavailable as error:
                if not named:
                    raise
                advice = "Or unset SINGLETRACK_REDIS_URL, and `singletrack up` starts one."
                raise RedisUnavailable(f"{error.message} {advice}", error.details) from error

    def _start_embedded_redis(self, say: Callable[[str], None]) -> str:
        say("starting Redis")
        self.redis = EmbeddedRedis.start(self.folder)
        self._keep(self.redis.child)
        return self.redis.url

    def _refuse_second_worker(self) -> None:
        with self.client() as client:
            worker = serving_worker(client)
            if worker is not None:
                raise AlreadyServed(
                    f"The track {client.track!r} on Redis at {address(self.redis_url)} is served already, by the "
                    f"worker with process id {worker.pid} on {worker.host}: one GPU, one worker. Nothing was started.",
                    {"pid": worker.pid, "host": worker.host},
                )

    def _start_ollama(self, say: Callable[[str], None], *, own: bool, sandbox: bool, gpu: GpuChoice) -> None:
        if not own:
            self._environment.use_no_ollama()
        if not (own or sandbox):
            self.ollama_problem = "The stack was started without Ollama."
            return
        say("starting Ollama" if own else "starting the Ollama sandbox")
        folder, environ = self.folder / "ollama", self._environment.variables
        if own and gpu == "auto":
            environ = for_track(environ, self.redis_url, self._environment.track, say)
        try:
            self.ollama = (
                EmbeddedOllama.start(folder, environ=environ, allow_sandbox=sandbox, say=say)
                if own
                else EmbeddedOllama.start_sandbox(folder, say=say)
            )
        except OllamaUnavailable as error:
            self.ollama_problem = error.message
            say(f"without Ollama: {error.message}")
            return
        self._environment.use_ollama(self.ollama.url, self.ollama.model)
        if self.ollama.child is not None:
            self._keep(self.ollama.child)

    def _configure(self, say: Callable[[str], None], *, gpu: GpuChoice, tiny_clip: bool) -> None:
        environment = self._environment
        if gpu == "simulated":
            environment.use_simulated_gpu()
        if weights := environment.clip_weights:
            environment.use_clip_weights(weights)
        elif tiny_clip:
            environment.use_clip_weights(ensure_tiny_clip(self.folder / "tiny-clip", say))
        environment.variables[METRICS_PORT_SETTING] = metrics_port(environment.variables)

    def _write_client_file(self) -> None:
        if self._environment.caller_redis_url:
            return  # other shells know it already
        write_private(self.client_file, self._environment.exports())
        if self.redis is not None:
            self._cleanup.callback(self.client_file.unlink, missing_ok=True)

    def _start_worker(self, say: Callable[[str], None], clip_wait_s: float) -> None:
        say("starting the worker")
        with self.client() as client:
            self.worker = start_worker(self.folder, self.worker_env, client)
            self._children.append(self.worker)
            self._cleanup.callback(self._end_worker)
            status = read_status(client)
            self.metrics_url = None if status is None else metrics_url(self.worker_env, status.worker)
            if clip_wait_s:
                wait_for_clip(self.worker, client, clip_wait_s)

    def _start_rest(
        self, say: Callable[[str], None], *, with_beat: bool, with_flower: bool, flower_port: int | None
    ) -> None:
        if with_beat:
            say("starting beat")
            self.beat = start_beat(self.folder, self.worker_env)
            self._keep(self.beat)
        if with_flower:
            say("starting Flower")
            flower = start_flower(self.folder, self.worker_env, flower_port)
            self.flower, self.flower_url = flower.child, flower.url
            self._keep(flower.child)

    def _keep(self, child: Child) -> None:
        self._children.append(child)
        self._cleanup.callback(child.stop)

    def _end_worker(self) -> None:
        self.worker.ask_to_end()  # and not its encoders, which the operation in flight needs
        redis_runs = self.redis is None or self.redis.child.alive
        try:
            self.worker.wait(self._worker_grace_s if redis_runs else _HURRY_GRACE_S)
        finally:
            self.worker.stop(_HURRY_GRACE_S)
