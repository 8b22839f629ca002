"""Messages without what they quote from raw files.

The values of a message may be a cell, a header, a channel's label or what a library reported: all may hold a name. The
template of a :class:`~ppgssl.core.text.Message` is this package's own and is shown, and so are values that are numbers
or texts of the cohort's description. Other values are hidden, and so is every text that is no Message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError, PpgsslError, ReadError
from ppgssl.core.text import Message

HIDDEN = "…"
_DATE_FORMAT = re.compile(r"(%[A-Za-z][-/.: T]?)+")


class _Hidden:
    """In place of a value, however a template would write it."""

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return HIDDEN


def error_text(error: Exception, places: Mapping[Path, str], cohort: Cohort) -> str:
    """What an error is about, with other names for files; where the cohort has `privacy`, without values of files.

    Parameters
    ----------
    error : Exception
    places : mapping of Path to str
        What files are called. The first is the one that the reader of the message knows already.
    cohort : Cohort
    """
    message = (
        error.message
        if isinstance(error, PpgsslError)
        else Message("{kind}: {text}", kind=type(error), text=str(error))
    )
    text = message if cohort.privacy is None else redacted(message, cohort)
    if not isinstance(error, ReadError) or error.path == next(iter(places)):
        return text
    return f"{places.get(error.path, HIDDEN if cohort.privacy else str(error.path))}: {text}"


def redacted_error(error: ConfigError, cohort: Cohort) -> ConfigError:
    """The same error without what it quotes."""
    return ConfigError(redacted(error.message, cohort), tuple(redacted(problem, cohort) for problem in error.problems))


def redacted(message: str, cohort: Cohort) -> str:
    """The message with ``…`` in place of values that may be a patient's; nothing but that of a text without fields."""
    described = {text.strip() for text in _texts(json.loads(cohort.model_dump_json()))}

    def show(value: object) -> object:
        if isinstance(value, Message):
            return value.with_values(show)
        if value is None or isinstance(value, int | float | Enum | type):
            return value
        if isinstance(value, list | tuple):
            shown = [show(item) for item in value]
            return shown if any(not isinstance(item, _Hidden) for item in shown) else _Hidden()
        is_known = isinstance(value, str) and (value.strip() in described or not value or _DATE_FORMAT.fullmatch(value))
        return value if is_known else _Hidden()

    return message.with_values(show) if isinstance(message, Message) else HIDDEN


def _texts(described: object) -> Iterator[str]:
    """Keys and values of a description."""
    if isinstance(described, dict):
        yield from described
        described = list(described.values())
    if isinstance(described, list):
        for item in described:
            yield from _texts(item)
    elif isinstance(described, str):
        yield described
