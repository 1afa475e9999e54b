"""Whether an application on X11 takes its input: nobody sees what is typed into one that hangs."""

import itertools
import time
from typing import Any, Final

from singletrack.agent.errors import InputRefused

_ANSWERS_WITHIN_S: Final = 15.0
_POLL_S: Final = 0.01


class X11Answers:
    """Asks the active window by the protocol _NET_WM_PING, over a connection of its own."""

    def __init__(self, connection: Any) -> None:
        from Xlib import X
        from Xlib.protocol.event import ClientMessage

        self._x, self._message = X, ClientMessage
        self._connection = connection
        self._root = connection.screen().root
        self._numbers = itertools.count(1)
        self._root.change_attributes(event_mask=X.SubstructureNotifyMask)

    def wait(self, window: Any) -> None:
        """Wait until a window answers; raises `InputRefused` if it does not, and returns if it never would."""
        ping = self._connection.intern_atom("_NET_WM_PING")
        if ping not in (window.get_wm_protocols() or ()):
            return
        number = next(self._numbers)
        protocols = self._connection.intern_atom("WM_PROTOCOLS")
        data = (32, [ping, number, window.id, 0, 0])
        window.send_event(self._message(window=window, client_type=protocols, data=data))
        self._connection.sync()
        deadline = time.monotonic() + _ANSWERS_WITHIN_S
        while not self._has_answered(ping, number):
            if time.monotonic() > deadline:
                raise InputRefused(
                    f"The active window has not answered for {_ANSWERS_WITHIN_S:.0f} s, so what is typed would go "
                    "unseen. Nothing was typed. See what it is busy with."
                )
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _has_answered(self, ping: int, number: int) -> bool:
        while self._connection.pending_events():
            event = self._connection.next_event()
            if event.type & 0x7F == self._x.ClientMessage and list(event.data[1][:2]) == [ping, number]:
                return True
        return False
