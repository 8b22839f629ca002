"""Entry point: errors that a user can fix are printed, never traced, and Ctrl-C is one line, whenever it comes."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType

_INTERRUPTED = 130  # what typer makes of KeyboardInterrupt


def main() -> None:
    """Run the command line, and exit."""
    interrupts = _Interrupts()
    message: str
    code: int | str | None
    try:
        message, code = _run()
    except SystemExit as stop:
        message, code = "", stop.code
    except BaseException as error:
        if not (interrupts.is_pressed or isinstance(error, KeyboardInterrupt)):
            raise
        message, code = "", _INTERRUPTED
    interrupts.end()
    if code == _INTERRUPTED or (interrupts.is_pressed and code != 0):
        message, code = "interrupted: what was finished is kept; run the same command again to go on", 1
    if message:
        print(message, file=sys.stderr)
    sys.exit(code)


def _run() -> tuple[str, int]:
    """What went wrong, and the exit code; a command that ends otherwise raises SystemExit."""
    from ppgssl.cli.commands import app

    from ppgssl.core.errors import PpgsslError

    try:
        app()
    except PpgsslError as error:
        return f"error: {error}", error.exit_code
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return (
            f"error: {error.strerror or error}{place}. Is it a folder that you may write to, with room on the disk? "
            "What was finished is kept; run the same command again to go on."
        ), 1
    return "", 0


class _Interrupts:
    """Ctrl-C as KeyboardInterrupt, which reaches the command even where Python would print it and go on."""

    def __init__(self) -> None:
        self.is_pressed = False
        self._hook = sys.unraisablehook
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._press)
            sys.unraisablehook = self._raise_again

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        self.is_pressed = True
        raise KeyboardInterrupt

    def _raise_again(self, ignored: sys.UnraisableHookArgs) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            self._hook(ignored)
        elif signal.getsignal(signal.SIGINT) == self._press:
            # Not here, where it would be ignored once more.
            threading.Timer(0.01, _thread.interrupt_main).start()

    def end(self) -> None:
        """From now on Ctrl-C ends the process at once: there is nothing left to do."""
        if signal.getsignal(signal.SIGINT) == self._press:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
