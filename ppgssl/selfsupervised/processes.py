"""Processes on this machine that work as a group: started, watched and ended together.

Launchers of Lightning Fabric and of torch are not enough for a command that people stop and that runs for hours: they
start the whole command again, or end with the text of an error in place of the error; and Ctrl-C reaches every process
within a step.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from ppgssl.core.errors import TrainingError
from ppgssl.core.interrupts import postponed_interrupt, uninterrupted

# Called as work(report, is_stopped, *arguments) in each process; what is given to ``report`` reaches the caller.
Work = Callable[..., None]

_LOOK_S = 0.2
# Time for the others to end by themselves once one has failed: they may be waiting for it.
_GRACE_S = 10.0
_HAS_MASKS = hasattr(signal, "pthread_sigmask")  # not on Windows


def work_together(work: Work, arguments: Sequence[Any], *, n: int, report: Callable[..., None]) -> None:
    """Do one thing in n processes of this machine at once, and wait for all of them.

    Each finds in its environment what torchrun would have put there (``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ...).
    Ctrl-C reaches this process alone, which asks all to stop; a second one ends them at once. If this process is
    killed, they end too.

    Parameters
    ----------
    work : callable
        A function of a module, since the processes are new ones and import it.
    arguments : sequence
        Copied to each process.
    report : callable
        Called here with whatever a process hands to its ``report``.

    Raises
    ------
    TrainingError, KeyboardInterrupt
        If a process is killed; at Ctrl-C, once all have ended.
    """
    with postponed_interrupt() as is_interrupted:
        group = _ProcessGroup(work, arguments, n)
        try:
            while group.is_at_work():
                group.pass_on(report)
                if is_interrupted():
                    group.stop.set()
        finally:
            group.end()
    if group.errors:
        raise group.errors[0]
    if group.stop.is_set():
        raise KeyboardInterrupt


@dataclass
class _Member:
    """One process, and the end of the pipe on which it reports."""

    rank: int
    process: SpawnProcess
    receiver: Connection
    is_connected: bool = True


class _ProcessGroup:
    def __init__(self, work: Work, arguments: Sequence[Any], n: int) -> None:
        context = get_context("spawn")
        self.stop = context.Event()
        self.errors: list[BaseException] = []
        self._failed_at: float | None = None
        port = _free_port()
        self._members = []
        with uninterrupted():
            for rank in range(n):
                receiver, sender = context.Pipe(duplex=False)
                environment = _environment(rank, n, port)
                process = context.Process(
                    target=_member, args=(environment, sender, self.stop, work, tuple(arguments)), daemon=True
                )
                process.start()
                sender.close()
                self._members.append(_Member(rank, process, receiver))

    def is_at_work(self) -> bool:
        is_late = self._failed_at is not None and time.monotonic() > self._failed_at + _GRACE_S
        return not is_late and any(member.is_connected for member in self._members)

    def pass_on(self, report: Callable[..., None]) -> None:
        """Pass on what was reported since the last call; wait a moment if nothing was."""
        ready = connection.wait([member.receiver for member in self._members if member.is_connected], timeout=_LOOK_S)
        for member in self._members:
            if member.receiver in ready:
                self._receive(member, report)

    def _receive(self, member: _Member, report: Callable[..., None]) -> None:
        try:
            kind, value = pickle.loads(member.receiver.recv_bytes())
        except EOFError:
            self._end_of(member)
            return
        if kind == "error":
            self._fail(value)
            return
        try:
            report(*value)
        except KeyboardInterrupt:
            self.stop.set()

    def _end_of(self, member: _Member) -> None:
        member.is_connected = False
        member.process.join()
        if (member.process.exitcode or 0) < 0:
            # The others then fail for want of it, and may have reported that before its end was noticed.
            number = -(member.process.exitcode or 0)
            killed = TrainingError(
                f"process {member.rank} of {len(self._members)} was killed ({signal.Signals(number).name}), maybe "
                "because memory ran out: lower `pretraining.batch_size`, raise `pretraining.accumulate`, or use fewer "
                "--devices. The last checkpoint is kept; run the same command again to go on."
            )
            self._fail(killed, is_cause=True)

    def _fail(self, error: BaseException, *, is_cause: bool = False) -> None:
        self.errors.insert(0 if is_cause else len(self.errors), error)
        self._failed_at = self._failed_at or time.monotonic()

    def end(self) -> None:
        """End whatever is still running."""
        for member in self._members:
            if member.process.is_alive():
                member.process.kill()
            member.process.join()
            member.receiver.close()


def _environment(rank: int, n: int, port: int) -> dict[str, str]:
    ranks = {"RANK": rank, "LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n}
    return {**{name: str(value) for name, value in ranks.items()}, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _member(environment: dict[str, str], sender: Connection, stop: Any, work: Work, arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)

    def send(kind: str, value: Any) -> None:
        # Not with `send`: of tensors, that sends where they lie in this process, which may have ended by then.
        sender.send_bytes(pickle.dumps((kind, value)))

    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(lambda *values: send("report", values), stop.is_set, *arguments)
    except (Exception, KeyboardInterrupt) as error:
        send("error", _portable(error))
    finally:
        torch = sys.modules.get("torch")
        if torch is not None and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        sender.close()
    # Threads of the library for messages between processes now and then outlive the interpreter, whose end then is an
    # abort, of a process that has done its work.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _portable(error: BaseException) -> BaseException:
    """The error with the place where it was raised, which stays behind otherwise."""
    if not isinstance(error, KeyboardInterrupt):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error holds
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
