"""Signals that a scheduler sends before it takes the machine away: the run ends after the step that it is in."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Notice:
    """Whether the run was told to end, and by what."""

    def __init__(self) -> None:
        self.name: str | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """As a signal handler."""
        self.name = signal.Signals(number).name


@contextlib.contextmanager
def heed_signals() -> Iterator[Notice]:
    """Take note of SIGTERM and SIGUSR1 instead of dying of them."""
    notice = Notice()
    earlier = {number: signal.signal(number, notice.take) for number in SIGNALS}
    try:
        yield notice
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
