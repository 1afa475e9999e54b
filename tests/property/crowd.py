"""Real threads that ask one manager at once, and meet inside of it if it lets them."""

import threading
from typing import Any

from singletrack_tasks.requests.embedding import EmbedTexts, FindClip
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_tasks.status import ExecutionMode
from tests.property.world import Alter, Setup, World, call

WORK: tuple[tuple[Request[Any], ...], ...] = (
    (SetMode(mode=ExecutionMode.RECORDING), Tick(), SetMode(mode=ExecutionMode.AUTOPILOT), Tick()),
    (Ask(prompt="what is this?"), UnloadVlm(), LoadVlm(), Ask(prompt="and this?")),
    (EmbedTexts(texts=("a button",)), FindClip(), EmbedTexts(texts=("a field",)), FindClip()),
)
# How long a deed waits for another one to begin beside it: long enough for a thread that may, short where none may.
MEETING_S = 0.005


class Crowd:
    """One thread for each client; `spans` has the first beginning and the last end of what each operation did."""

    def __init__(self, alter: Alter) -> None:
        self.world = World(Setup(), alter)
        self.spans: list[tuple[int, int]] = []
        self.errors: list[BaseException] = []
        self._meeting = threading.Condition()
        self._inside = 0

    def run(self) -> None:
        """Let all clients do their work, and wait for them."""
        self.world.history.within = self._meet
        threads = [threading.Thread(target=self._work, args=(client,)) for client in range(len(WORK))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), "a client never came to an end"

    def _work(self, client: int) -> None:
        try:
            for number, request in enumerate(WORK[client]):
                self._operate(request, JobRef(f"{client}-{number}"))
        except BaseException as error:  # kept for the test, which raises it
            self.errors.append(error)

    def _operate(self, request: Request[Any], job: JobRef) -> None:
        history, me = self.world.history, threading.get_ident()
        began = history.now()
        call(self.world.manager, request, job)
        mine = [deed for deed in history.deeds if deed.thread == me and deed.begun > began]
        if mine:
            self.spans.append((mine[0].begun, mine[-1].ended or history.now()))

    def _meet(self) -> None:
        with self._meeting:
            self._inside += 1
            self._meeting.notify_all()
            self._meeting.wait_for(lambda: self._inside > 1, MEETING_S)
            self._inside -= 1
