"""The exceptions that users meet. Each message says what was tried, with which value, and the way out.

Study identifiers may stand in a message; clinical values may not.
"""

from __future__ import annotations


class PpgsslError(Exception):
    """Base of every error that a user can cause or mend; the command line prints it without a traceback."""

    exit_code = 1


class ConfigError(PpgsslError):
    """A description (``cohort.yaml``, ``study.yaml``) or an option is wrong. ``problems`` holds one line each."""

    exit_code = 2

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join([message, *(f"  - {problem}" for problem in problems)]))
        self.problems = problems


class ReadError(PpgsslError):
    """One raw file cannot be read as its reader expects. Ingest turns it into a row of ``rejects``."""


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
