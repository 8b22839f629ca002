"""One process at a time writes into a folder: two runs of one study would overwrite each other's half-made files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ppgssl.core.errors import BusyError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Be the only process that writes into a folder, which is made if absent.

    The system releases the lock when the process ends, however it ends. BusyError, in which ``name`` is the folder's,
    if another process, or another part of this one, holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"another process is writing into {name}. Wait until it is done, or stop it; then run the same command "
            "again."
        ) from None
    except OSError:
        pass  # Some network drives have no locks: users must see to it themselves there.
    try:
        yield
    finally:
        lock.release()
