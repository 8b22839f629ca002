"""The exceptions that users meet. Each message gives what was tried, with which value, and the way out.

Study identifiers may stand in a message; clinical values may not.
"""

from __future__ import annotations

from pathlib import Path

from ppgssl.core.text import Message


class PpgsslError(Exception):
    """Base of every error that a user can cause or fix; the command line prints it without a traceback.

    Parameters
    ----------
    message : str
        The text; with ``values``, a template of :class:`~ppgssl.core.text.Message` that names them.
    """

    exit_code = 1

    def __init__(self, message: str = "", **values: object) -> None:
        self.message = Message(message, **values) if values else message
        super().__init__(self.message)


class ConfigError(PpgsslError):
    """A description (``cohort.yaml``, ``study.yaml``) or an option is wrong. ``problems`` holds one line each."""

    exit_code = 2

    def __init__(self, message: str, problems: tuple[str, ...] = (), **values: object) -> None:
        super().__init__(message, **values)
        self.problems = problems
        self.args = (self.message, problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  - {problem}" for problem in self.problems)])


class ReadError(PpgsslError):
    """The file ``path`` cannot be read as its reader expects. Ingest turns it into a row of ``rejects``.

    ``problem`` is a template of :class:`~ppgssl.core.text.Message` that names ``values``.
    """

    def __init__(self, path: Path, problem: str, **values: object) -> None:
        super().__init__(problem if isinstance(problem, Message) else Message(problem, **values))
        self.path = path
        self.args = (path, self.message)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SignalError(PpgsslError):
    """A signal operation was asked for something impossible, such as a band above half the sampling rate."""


class StoreError(PpgsslError):
    """A store is missing, was made by other settings, or is not a store."""


class BusyError(PpgsslError):
    """Another process is writing where this one would."""


class StaleInputError(PpgsslError):
    """What a stage builds on has changed since it was made; the message names the command to rerun."""

    exit_code = 2


class TrainingError(PpgsslError):
    """Training cannot start or had to stop, for example at a loss that is not finite."""


class LeakageError(PpgsslError):
    """A patient would be tested whom the encoder or a fitted part has already seen."""


class EvaluationError(PpgsslError):
    """A statistic is not defined for the data given, for example an AUROC of a single class."""


class ReportError(PpgsslError):
    """``results.json`` is missing or not a result of this version, or the typesetting failed."""
