"""`python -m singletrack_ops redis|ollama FOLDER`: start one server by hand, until Ctrl-C."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.errors import OpsError
from singletrack_ops.local.child_process import Child


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m singletrack_ops", description=__doc__)
    parser.add_argument("server", choices=["redis", "ollama"], help="ollama starts the sandbox with its tiny model")
    parser.add_argument("folder", type=Path, help="for the server's data and log")
    parser.add_argument("--port", type=int, help="the loopback port (default: a free one)")
    return parser.parse_args()


def _start(server: str, folder: Path, port: int | None) -> tuple[str, Child | None]:
    if server == "redis":
        redis = EmbeddedRedis.start(folder, port=port)
        return redis.url, redis.child
    ollama = EmbeddedOllama.start_sandbox(folder, port=port)
    return f"{ollama.url} {ollama.model}", ollama.child


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Start it, print its address on one line, and end it at Ctrl-C or SIGTERM; returns 1 if it fails or ends."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        where, child = _start(arguments.server, arguments.folder, arguments.port)
    except OpsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0  # what was being started has been ended already
    if child is None:
        raise AssertionError("a server that was started has a process")
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()
    return _hold(child)


def _hold(child: Child) -> int:
    try:
        while (status := child.wait(timeout_s=3600)) is None:
            pass
        sys.stderr.write(f"{child.name} ended with status {status}:\n{child.log_tail()}\n")
    except KeyboardInterrupt:
        return 0
    else:
        return 1
    finally:
        child.stop()


if __name__ == "__main__":
    sys.exit(main())
