"""The exceptions that users meet. Each message gives what was tried, with which value, and the way out.

Study identifiers may stand in a message; clinical values may not.
"""

from __future__ import annotations

from pathlib import Path

from ppgssl.core.text import Message


class PpgsslError(Exception):
    """Base of every error that a user can cause or fix; the command line prints it without a traceback."""

    exit_code = 1


class ConfigError(PpgsslError):
    """A description (``cohort.yaml``, ``study.yaml``) or an option is wrong. ``problems`` holds one line each."""

    exit_code = 2

    def __init__(self, message: str, problems: tuple[str, ...] = (), **values: object) -> None:
        self.message = Message(message, **values) if values else message
        self.problems = problems
        super().__init__("\n".join([self.message, *(f"  - {problem}" for problem in problems)]))


class ReadError(PpgsslError):
    """One raw file cannot be read as its reader expects. Ingest turns it into a row of ``rejects``.

    Parameters
    ----------
    problem : str
        What is wrong. With ``path``, a template with the names of ``values`` in braces: see
        :class:`~ppgssl.core.text.Message`.
    path : Path, optional
        The file. Without it, ``problem`` is the whole message, of which nothing is known to be free of values.
    """

    def __init__(self, problem: str, *, path: Path | None = None, **values: object) -> None:
        self.problem = problem if path is None else Message(problem, **values)
        self.path = path
        super().__init__(self.problem if path is None else f"{path}: {self.problem}")


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
