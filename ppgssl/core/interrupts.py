"""Ctrl-C at a moment when it can be served, never within a step or while processes are being started."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_HAS_MASKS = hasattr(signal, "pthread_sigmask")  # not on Windows


@contextmanager
def postponed_interrupt() -> Iterator[Callable[[], bool]]:
    """Keep Ctrl-C back, and give a function that returns whether it was pressed.

    A step that is cut short leaves weights and optimizer out of tune with each other. A second Ctrl-C is not kept back.
    Outside the main thread, where Python delivers no signals, and where Ctrl-C is ignored anyway, nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield lambda: False
        return
    pressed = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C is served after the block, and never reaches the processes that are started within it."""
    with postponed_interrupt() as is_interrupted:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if _HAS_MASKS else set()
        try:
            yield
        finally:
            if _HAS_MASKS:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if is_interrupted():
        signal.raise_signal(signal.SIGINT)  # to whoever serves it outside of the block
