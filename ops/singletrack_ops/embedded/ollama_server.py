"""An Ollama to talk to: the user's own if there is one, else one that is started and ended here."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from singletrack_ops.embedded.ollama_sandbox import build_sandbox
from singletrack_ops.embedded.tiny_vlm import create_tiny_vlm
from singletrack_ops.errors import OllamaUnavailable, OpsError
from singletrack_ops.local.child_process import Child, ended_on_error, wait_until_ready
from singletrack_ops.local.http_probe import get_json
from singletrack_ops.local.loopback import LOOPBACK, free_port, is_loopback, port_is_free
from singletrack_tasks.ollama_address import DEFAULT_PORT, DEFAULT_URL, client_url, configured_url, shown_url

Source = Literal["configured", "running", "installed", "sandbox"]

_PROBE_TIMEOUT_S = 2.0
_START_TRIES = 3


@dataclass(frozen=True)
class OllamaEndpoint:
    """Where an Ollama can be had.

    `configured` and `running` have a `url` that answered. `installed` has the `binary` to start, and a `url` if
    OLLAMA_HOST names one. `sandbox` has neither: it is built when it is started.
    """

    source: Source
    url: str | None = None
    binary: Path | None = None


def find_ollama(environ: Mapping[str, str] | None = None, *, allow_sandbox: bool = False) -> OllamaEndpoint:
    """Look at SINGLETRACK_OLLAMA_URL, then OLLAMA_HOST or the default port, the PATH, and at last the sandbox.

    Starts nothing. Raises `OllamaUnavailable` if a server that is set by name does not answer (another one in its
    place would be a surprise), and if there is none at all.
    """
    env = os.environ if environ is None else environ
    return _asked_for(env) or _listening(env) or _startable(env, allow_sandbox=allow_sandbox)


class EmbeddedOllama:
    """A running Ollama; `stop` ends it only if it was started here."""

    def __init__(self, source: Source, url: str, *, child: Child | None = None, model: str | None = None) -> None:
        self.source = source
        self.url = url
        self.child = child
        self.model = model
        """The sandbox's tiny model; None for an Ollama with the user's own models."""

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        environ: Mapping[str, str] | None = None,
        allow_sandbox: bool = False,
        port: int | None = None,
        ready_timeout_s: float = 30.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Find an Ollama as `find_ollama` does, and start it unless it runs.

        `folder` takes the log and the sandbox's models; `port` is for a server that is started here. Raises
        `OllamaUnavailable`, or `OpsError` with the end of the log if the server does not come up.
        """
        env = os.environ if environ is None else environ
        endpoint = find_ollama(env, allow_sandbox=allow_sandbox)
        if endpoint.source == "sandbox":
            return cls.start_sandbox(folder, port=port, ready_timeout_s=ready_timeout_s, say=say)
        if endpoint.binary is not None:
            return cls._start_installed(endpoint.binary, endpoint.url, folder, env, port, ready_timeout_s)
        if endpoint.url is None:
            raise AssertionError("an endpoint has an address or a program, or is the sandbox")
        return cls(endpoint.source, endpoint.url)

    @classmethod
    def start_sandbox(
        cls,
        folder: Path,
        *,
        cache: Path | None = None,
        port: int | None = None,
        ready_timeout_s: float = 30.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Build the sandbox unless it is cached, start it with its models in `folder`, and create the tiny model."""
        files = build_sandbox(cache, say)
        for tries_left in reversed(range(_START_TRIES)):
            home = folder.resolve()
            address = f"{LOOPBACK}:{port or free_port()}"
            env = files.environment(address=address, home=home)
            try:
                child = _serve(files.binary, env, f"http://{address}", home / "ollama.log", ready_timeout_s)
            except OpsError:
                if tries_left and port is None:
                    continue  # most likely another program took the port
                raise
            with ended_on_error(child):
                model = create_tiny_vlm(files.binary, env, home / "tiny-vlm")
            return cls("sandbox", f"http://{address}", child=child, model=model)
        raise AssertionError("the last try returns or raises")

    @classmethod
    def _start_installed(
        cls,
        binary: Path,
        url: str | None,
        folder: Path,
        environ: Mapping[str, str],
        port: int | None,
        ready_timeout_s: float,
    ) -> Self:
        default = DEFAULT_PORT if port_is_free(DEFAULT_PORT) else free_port()
        address = f"{LOOPBACK}:{port or default}"
        if url is not None and port is None:
            address = urlsplit(url).netloc
        env = {**environ, "OLLAMA_HOST": address}
        child = _serve(binary, env, f"http://{address}", folder.resolve() / "ollama.log", ready_timeout_s)
        return cls("installed", f"http://{address}", child=child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and its model runners if it was started here; may be repeated."""
        if self.child is not None:
            self.child.stop()


def _asked_for(environ: Mapping[str, str]) -> OllamaEndpoint | None:
    name = environ.get("SINGLETRACK_OLLAMA_URL", "").strip()
    if not name:
        return None
    try:
        url = client_url(name)
    except ValueError as error:
        raise OllamaUnavailable(f"SINGLETRACK_OLLAMA_URL: {error}") from error
    if _answers(url):
        return OllamaEndpoint("configured", url)
    raise OllamaUnavailable(
        f"SINGLETRACK_OLLAMA_URL names {shown_url(url)}, but no Ollama answers there. Start it or unset the variable."
    )


def _listening(environ: Mapping[str, str]) -> OllamaEndpoint | None:
    """The server at OLLAMA_HOST or the default address; None if one may be started there."""
    url = _ollama_host(environ)
    if url is None:
        return OllamaEndpoint("running", DEFAULT_URL) if _answers(DEFAULT_URL) else None
    if _answers(url):
        return OllamaEndpoint("configured", url)
    if is_loopback(urlsplit(url).hostname or ""):
        return None
    raise OllamaUnavailable(
        f"OLLAMA_HOST names {shown_url(url)}, but no Ollama answers there. Start it there or unset the variable."
    )


def _ollama_host(environ: Mapping[str, str]) -> str | None:
    try:
        return configured_url(environ)
    except ValueError as error:
        raise OllamaUnavailable(f"OLLAMA_HOST: {error}") from error


def _startable(environ: Mapping[str, str], *, allow_sandbox: bool) -> OllamaEndpoint:
    if found := shutil.which("ollama", path=environ.get("PATH")):
        return OllamaEndpoint("installed", _ollama_host(environ), Path(found))
    if allow_sandbox:
        return OllamaEndpoint("sandbox")
    raise OllamaUnavailable(
        "No Ollama answers on this machine and `ollama` is not on the PATH. Install it from "
        "https://ollama.com/download, or set SINGLETRACK_OLLAMA_URL to a server's address (http://host:11434). For a "
        "first look, `singletrack up --sandbox` starts one with a tiny untrained model."
    )


def _answers(url: str) -> bool:
    version = get_json(f"{url}/api/version", _PROBE_TIMEOUT_S)
    return isinstance(version, dict) and "version" in version


def _serve(binary: Path, env: Mapping[str, str], url: str, log_path: Path, ready_timeout_s: float) -> Child:
    child = Child.start("ollama", [binary, "serve"], env=env, cwd=binary.parent, log_path=log_path)
    with ended_on_error(child):
        wait_until_ready(child, lambda: _answers(url), ready_timeout_s)
    return child
