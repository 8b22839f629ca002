"""Messages without what they quote from raw files.

A message of a reader may show a cell, a header, a channel's label or what a library reported: all may hold a name. Of a
:class:`~ppgssl.core.text.Message`, the text is this package's own and is shown, and so are values that are numbers or
texts of the cohort's description; other values are hidden. Of any other text, nothing is shown but words of this
package, words of the description, and numbers among them, such as a line.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from itertools import zip_longest
from pathlib import Path

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.text import Message

HIDDEN = "…"
_QUOTED = re.compile(r"""(?<!\w)b?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_LISTED = re.compile(r"(?<=: )the file has (\d+) (\w+): .*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d+)?(e[+-]?\d+)?%?", re.IGNORECASE)
_DATE_FORMAT = re.compile(r"(%[A-Za-z][-/.: T]?)+")
_SOURCES = ("readers", "signals", "store", "stages/ingest")
_EDGES = "`'\"()[]{},.;:?!…"


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
    if isinstance(error, ReadError) and error.path is not None:
        text = error.problem if cohort.privacy is None else redacted(error.problem, cohort)
        if error.path == next(iter(places)):
            return text
        unknown = str(error.path) if cohort.privacy is None else HIDDEN
        return f"{places.get(error.path, unknown)}: {text}"
    text = str(error).removeprefix(f"{next(iter(places))}: ")
    for path, place in places.items():
        text = text.replace(str(path), place)
    return text if cohort.privacy is None else redacted(text, cohort, known=places.values())


def redacted_error(error: ConfigError, cohort: Cohort) -> ConfigError:
    """The same error without what it quotes."""
    problems = tuple(redacted(problem, cohort) for problem in error.problems)
    return ConfigError(redacted(error.message, cohort), problems)


def redacted(message: str, cohort: Cohort, known: Iterable[str] = ()) -> str:
    """The message with ``…`` in place of all that is not known to be no patient's.

    Parameters
    ----------
    message : str
    cohort : Cohort
        The words of its description may be shown.
    known : iterable of str
        Other texts that may be: pseudonyms.
    """
    described = {text.strip() for text in _texts(json.loads(cohort.model_dump_json()))}
    if isinstance(message, Message):
        return _without_values(message, described.union(known))
    return _known_words(message, described, known)


# --- messages with fields --------------------------------------------------------------------------------------


def _without_values(message: Message, known: set[str]) -> str:
    def show(value: object) -> object:
        if isinstance(value, Message):
            return value.with_values(show)
        if value is None or isinstance(value, int | float | Enum | type):
            return value
        if isinstance(value, list | tuple):
            shown = [show(item) for item in value]
            return shown if any(not isinstance(item, _Hidden) for item in shown) else _Hidden()
        is_known = isinstance(value, str) and (not value or _may_be_quoted(value, known))
        return value if is_known else _Hidden()

    return message.with_values(show)


def _may_be_quoted(text: str, described: set[str]) -> bool:
    return text.strip() in described or _DATE_FORMAT.fullmatch(text) is not None


# --- other messages --------------------------------------------------------------------------------------------


def _known_words(message: str, described: set[str], known: Iterable[str]) -> str:
    message = _LISTED.sub(r"the file has \1 \2, not shown", message)
    message = _QUOTED.sub(lambda match: match[0] if _may_be_quoted(match[1][1:-1], described) else HIDDEN, message)
    words = _own_words().union(_words(described), _words(known))
    spaces, parts = re.findall(r"\s+", message), message.split()
    shown = _without_lone_numbers([_shown(part, words) for part in parts])
    start = spaces.pop(0) if message[:1].isspace() else ""
    text = start + "".join(part + space for part, space in zip_longest(shown, spaces, fillvalue=""))
    return re.sub(rf"{HIDDEN}(\s+{HIDDEN})+", HIDDEN, text)


def _shown(part: str, words: frozenset[str]) -> str:
    bare = part.strip(_EDGES)
    return part if not bare or bare in words or _NUMBER.fullmatch(bare) else HIDDEN


def _without_lone_numbers(parts: list[str]) -> list[str]:
    """Numbers next to what is hidden may belong to it: a name, and when somebody was born."""
    for order in (range(1, len(parts)), range(len(parts) - 2, -1, -1)):
        for place in order:
            neighbour = parts[place - 1] if order.step == 1 else parts[place + 1]
            if neighbour == HIDDEN and _NUMBER.fullmatch(parts[place].strip(_EDGES)):
                parts[place] = HIDDEN
    return parts


def _words(texts: Iterable[str]) -> Iterator[str]:
    return (part.strip(_EDGES) for text in texts for part in text.split())


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


@cache
def _own_words() -> frozenset[str]:
    """Words of all texts in the modules that write such messages; none, and so none shown, where the source is away.

    Without docstrings, which name authors.
    """
    package = Path(__file__).parents[2]
    files = [file for source in _SOURCES for file in (package / source).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_bytes()))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = (node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return frozenset(_words(value for value in constants if isinstance(value, str)))
