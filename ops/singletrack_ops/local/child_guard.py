"""Ends a process group when the process that started it is gone, whatever ended it.

Run as a script, with the standard library only: `python child_guard.py PGID`, with a pipe as standard input whose
other end the starter holds. A pipe and the parent's id belong to the whole process, unlike Linux's
`PR_SET_PDEATHSIG`, which fires when the starting *thread* ends and reaches only the direct child.
"""

import contextlib
import os
import select
import signal
import sys
import time

_TICK_S = 1.0
_GRACE_S = 5.0
_POLL_S = 0.02


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so for a group of zombies
        return True
    return True


def _starter_gone(starter: int) -> bool:
    """Wait one tick; whether the pipe was closed, or the starter died and a forked copy keeps the pipe open."""
    readable, _, _ = select.select([0], [], [], _TICK_S)
    return bool(readable) or os.getppid() != starter


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while _group_exists(group) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        os.killpg(group, signal.SIGKILL)


def main(group: int) -> None:
    """Watch `group` until it is gone, and end it once its starter is gone."""
    starter = os.getppid()
    # Leave with the group: the system may reuse its number, which must not be killed then.
    while _group_exists(group):
        if _starter_gone(starter):
            _end(group)
            return


if __name__ == "__main__":
    main(int(sys.argv[1]))
