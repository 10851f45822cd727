"""Ctrl-C and SIGTERM ask a run to stop where it can be continued."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from onehead_avl.system.ranks import RANKS


class Stop:
    """Whether the process was asked to stop.

    Attributes:
        requested: The name of the signal, ``None`` without one.
        status: The exit status that the shell expects then.
    """

    requested: str | None = None
    status = 0

    def agreed(self) -> bool:
        """Whether any of the processes that learn together was asked to stop; then all of them are."""
        if RANKS.any(self.requested is not None) and self.requested is None:
            self.requested, self.status = signal.SIGTERM.name, 128 + signal.SIGTERM
        return self.requested is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note the first signal, and let a second one interrupt at once.

        Off the main thread, where Python hears no signals, nothing is changed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._note) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            self.requested = None
            for each, handler in before.items():
                signal.signal(each, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested, self.status = signal.Signals(number).name, 128 + number


STOP = Stop()
"""Of this process."""
