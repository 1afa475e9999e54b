"""The worker's own threads, which outlive their errors, and the account of what is wrong with them."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How long a thread that failed waits before it goes on.
AGAIN_S = 1.0
# A thread that has done nothing but fail for so long is given up, if the worker cannot do without it.
HOPELESS_S = 30.0
# An error that comes and goes is logged this often.
LOGGED_EVERY_S = 60.0
_log = logging.getLogger(__name__)


class Troubles:
    """What is wrong with the worker's own threads; thread-safe.

    An error is logged once a kind, and told from its first occurrence until what failed works again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._logged_s: dict[tuple[str, type], float] = {}
        self._tell: Callable[[str], None] = lambda text: None

    def tell(self, listener: Callable[[str], None]) -> None:
        """Call `listener` from now on with all that is wrong, in one line, whenever it changes; empty for nothing."""
        self._tell = listener

    @contextmanager
    def survived(self, what: str) -> Iterator[None]:
        """Survive an error, whatever it is."""
        try:
            yield
        except Exception as error:
            self.failed(what, error)
        else:
            self.works(what)

    def failed(self, what: str, error: BaseException) -> None:
        """Note an error."""
        kind, text = (what, type(error)), f"{what}: {type(error).__name__}: {error}"
        with self._lock:
            is_logged, is_told = kind in self._logged_s, self._texts.get(what) == text
            self._logged_s.setdefault(kind, time.monotonic())
            self._texts = {**self._texts, what: text}
        if not is_logged:
            _log.error("the worker's %s failed and goes on", what, exc_info=error)
        if not is_told:
            self._pass_on()

    def works(self, what: str) -> None:
        """Note that it works, as nearly always."""
        if what not in self._texts:
            return
        before_s = time.monotonic() - LOGGED_EVERY_S
        with self._lock:
            self._texts = {other: text for other, text in self._texts.items() if other != what}
            self._logged_s = {kind: at_s for kind, at_s in self._logged_s.items() if kind[0] != what or at_s > before_s}
        self._pass_on()

    def _pass_on(self) -> None:
        try:
            self._tell("; ".join(self._texts.values()))
        except Exception:
            # Whoever tells of a failure must not fail for it.
            _log.exception("could not tell what is wrong")


class KeptThread:
    """A thread that outlives its errors.

    It calls `work` again and again until that returns False. An error goes to `troubles`, and a moment later `work` is
    called again; `hopeless`, if given, is called, once, when nothing but errors has come for `HOPELESS_S`.
    """

    def __init__(
        self, name: str, work: Callable[[], bool], troubles: Troubles, *, hopeless: Callable[[], None] | None = None
    ) -> None:
        self._name = name
        self._work = work
        self._troubles = troubles
        self._hopeless = hopeless
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def end(self, timeout_s: float | None = None) -> None:
        """Wait for its end, after `work` was told to return False; one that fails is not called again."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        what = f"thread '{self._name}'"
        failing_since_s: float | None = None
        while True:
            try:
                goes_on = self._work()
            except Exception as error:
                self._troubles.failed(what, error)
                failing_since_s = time.monotonic() if failing_since_s is None else failing_since_s
                if time.monotonic() - failing_since_s >= HOPELESS_S:
                    self._give_up()
                if self._stopped.wait(AGAIN_S):
                    return
            else:
                failing_since_s = None
                self._troubles.works(what)
                if not goes_on:
                    return

    def _give_up(self) -> None:
        if self._hopeless is not None:
            self._hopeless()
            self._hopeless = None
