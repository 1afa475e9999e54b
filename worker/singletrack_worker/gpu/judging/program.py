"""Runs in the child: the program that reads answers against schemas.

The worker starts it through `judge_process.py`. It reads nothing from the worker's environment and has a limit of
memory. A regular expression that backtracks holds the interpreter, so that no thread of its own can end it: the kernel
does when the worker dies, and a watchdog that needs no interpreter where the kernel does not.

Commands (header, payload -> header, payload):
`ready` -> nothing, once the imports are done;
`read` with within_s, and a JSON object of text and schema -> the JSON of the answer; or, in the header, `misfit`: how
the answer does not fit. An error is answered as `error` with kind and text: `schema` and `memory` are the caller's.
"""

import ctypes
import faulthandler
import json
import signal
import sys
import traceback

from singletrack_tasks.errors import InvalidSchema
from singletrack_worker.gpu.child.frames import BrokenFrame, Frame, read_frame, write_frame
from singletrack_worker.gpu.child.program import ignore_signals, take_pipes
from singletrack_worker.gpu.judging.verdict import read_answer

MEMORY_BYTES = 1024 * 1024 * 1024

_SHOWN_CHARS = 1_000
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Answer frames until the worker has gone."""
    ignore_signals()
    stdin, stdout = take_pipes()
    _die_with_worker()
    _limit_memory()
    while True:
        try:
            request = read_frame(stdin)
        except BrokenFrame:
            return
        answer = _answer(request)
        write_frame(stdout, answer.header, answer.payload)


def _answer(request: Frame) -> Frame:
    if request.header["command"] == "ready":
        return Frame({})
    faulthandler.dump_traceback_later(request.header["within_s"], exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        return _read(request.payload)
    except MemoryError:
        return _error("memory", "it takes too much memory")
    # Nobody above could handle it: whatever went wrong is for the worker to know.
    except Exception as error:
        traceback.print_exc()
        return _error("defect", type(error).__name__)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _read(payload: bytes) -> Frame:
    asked = json.loads(payload)
    try:
        value = read_answer(asked["text"], asked["schema"])
    except InvalidSchema as error:
        return _error("schema", error.message)
    except ValueError as error:
        return Frame({"misfit": str(error)[:_SHOWN_CHARS]})
    return Frame({}, json.dumps(value).encode())


def _error(kind: str, text: str) -> Frame:
    return Frame({"error": {"kind": kind, "text": text[:_SHOWN_CHARS]}})


def _die_with_worker() -> None:
    # Strictly with the thread that started it; the worker's thread for operations lives as long as the worker.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        _, most_bytes = resource.getrlimit(resource.RLIMIT_AS)
        limit_bytes = MEMORY_BYTES if most_bytes == resource.RLIM_INFINITY else min(MEMORY_BYTES, most_bytes)
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


if __name__ == "__main__":
    main()
